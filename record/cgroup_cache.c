/* SPDX-License-Identifier: Apache-2.0 */
#include "record/cgroup_cache.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/pages.h"

#define SEEN  0u
#define ASKED 1u

int cgroup_cache_open(struct cgroup_cache *cache, uint32_t max)
{
	if (max < 4 || max > 1u << 20)
		return -EINVAL;
	memset(cache, 0, sizeof(*cache));
	cache->max = max;
	cache->entries = pages_take_table(max, sizeof(cache->entries[0]), &cache->chains,
					  &cache->chain_mask);
	return cache->entries ? 0 : -ENOMEM;
}

void cgroup_cache_close(struct cgroup_cache *cache)
{
	pages_give_table(cache->entries, cache->max, sizeof(cache->entries[0]), cache->chains);
	memset(cache, 0, sizeof(*cache));
}

/* --- the lists --- */

static uint32_t number_of(const struct cgroup_cache *cache, const struct cgroup_entry *entry)
{
	return (uint32_t)(entry - cache->entries) + 1;
}

static struct cgroup_entry *entry_at(const struct cgroup_cache *cache, uint32_t number)
{
	return number ? &cache->entries[number - 1] : NULL;
}

static void list_remove(struct cgroup_cache *cache, struct cgroup_entry *entry)
{
	struct cgroup_list *list = &cache->lists[entry->asked];
	struct cgroup_entry *newer = entry_at(cache, entry->newer);
	struct cgroup_entry *older = entry_at(cache, entry->older);

	*(newer ? &newer->older : &list->newest) = entry->older;
	*(older ? &older->newer : &list->oldest) = entry->newer;
	list->count--;
}

static void list_put(struct cgroup_cache *cache, struct cgroup_entry *entry, uint32_t asked)
{
	struct cgroup_list *list = &cache->lists[asked];
	struct cgroup_entry *second = entry_at(cache, list->newest);

	entry->asked = asked;
	entry->newer = 0;
	entry->older = list->newest;
	list->newest = number_of(cache, entry);
	*(second ? &second->newer : &list->oldest) = list->newest;
	list->count++;
}

void cgroup_cache_touch(struct cgroup_cache *cache, struct cgroup_entry *entry)
{
	struct cgroup_list *list = &cache->lists[ASKED];

	if (list->newest == number_of(cache, entry))
		return;
	list_remove(cache, entry);
	list_put(cache, entry, ASKED);
	if (list->count > cache->max / 4 * 3) {
		entry = entry_at(cache, list->oldest);
		list_remove(cache, entry);
		list_put(cache, entry, SEEN);
	}
}

/* --- by id --- */

/* Where the number of the entry with this id stands, or would stand. */
static uint32_t *find_link(const struct cgroup_cache *cache, uint64_t id)
{
	/* Ids count up. */
	uint32_t hash = (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
	uint32_t *link = &cache->chains[hash & cache->chain_mask];

	while (*link && cache->entries[*link - 1].id != id)
		link = &cache->entries[*link - 1].chain;
	return link;
}

struct cgroup_entry *cgroup_cache_find(const struct cgroup_cache *cache, uint64_t id)
{
	return entry_at(cache, *find_link(cache, id));
}

/* The number of the entry whose place is taken next, 0 while there is room. */
static uint32_t victim_of(const struct cgroup_cache *cache)
{
	return cache->count < cache->max ? 0 : cache->lists[SEEN].oldest;
}

struct cgroup_entry *cgroup_cache_victim(const struct cgroup_cache *cache)
{
	return entry_at(cache, victim_of(cache));
}

struct cgroup_entry *cgroup_cache_add(struct cgroup_cache *cache, uint64_t id)
{
	uint32_t number = victim_of(cache);
	struct cgroup_entry *entry;

	if (number) {
		entry = &cache->entries[number - 1];
		*find_link(cache, entry->id) = entry->chain;
		list_remove(cache, entry);
	} else {
		entry = &cache->entries[cache->count++];
	}
	memset(entry, 0, sizeof(*entry));
	entry->id = id;
	entry->watch = -1;
	*find_link(cache, id) = number_of(cache, entry);
	list_put(cache, entry, SEEN);
	return entry;
}

/* --- by what only a watched one has --- */

struct cgroup_entry *cgroup_cache_at_watch(const struct cgroup_cache *cache, int watch)
{
	for (uint32_t i = 0; i < cache->count && watch >= 0; i++)
		if (cache->entries[i].watch == watch)
			return &cache->entries[i];
	return NULL;
}

struct cgroup_entry *cgroup_cache_at_path(const struct cgroup_cache *cache, const char *path)
{
	for (uint32_t i = 0; i < cache->count; i++)
		if (cache->entries[i].watch >= 0 && strcmp(cache->entries[i].name.path, path) == 0)
			return &cache->entries[i];
	return NULL;
}
