/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/grace.h"

#define FNV32_OFFSET 0x811c9dc5u
#define FNV32_PRIME  0x01000193u

static void *map_shared(int fd, size_t len)
{
	void *mapped = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return mapped == MAP_FAILED ? NULL : mapped;
}

int settings_open(struct settings_maps *maps, int settings_fd, int hits_fd, int counters_fd)
{
	maps->settings = map_shared(settings_fd, sizeof(*maps->settings));
	if (!maps->settings)
		return -errno;
	maps->hits = map_shared(hits_fd, HITS_SLOTS * sizeof(*maps->hits));
	if (!maps->hits)
		return -errno;
	maps->counters = map_shared(counters_fd, COUNTER_SLOTS * sizeof(*maps->counters));
	return maps->counters ? 0 : -errno;
}

/* --- cgroups --- */

static uint32_t hash_path(const char *path)
{
	uint32_t hash = FNV32_OFFSET;

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * FNV32_PRIME;
	return hash;
}

/* The inode number of the directory: the cgroup's id. 0 if there is no such cgroup. */
static uint64_t find_cgroup(int root_fd, const char *path)
{
	struct stat st;

	if (root_fd < 0 ||
	    fstatat(root_fd, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	return st.st_ino;
}

static uint32_t next_revision(uint32_t revision)
{
	return revision == UINT32_MAX ? 1 : revision + 1;
}

/* The programs read meanwhile: each id is good by itself, and what was is noted before it goes. */
static void renew_cgroup(struct settings_slot *slot, struct filter_cgroup *cgroup, uint64_t id)
{
	if (id == cgroup->id)
		return;
	if (cgroup->id)
		__atomic_store_n(&cgroup->before, cgroup->id, __ATOMIC_RELEASE);
	__atomic_store_n(&cgroup->id, id, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->revision, next_revision(slot->revision), __ATOMIC_RELEASE);
}

uint32_t settings_find_cgroups(struct settings_maps *maps, const struct config *config, int root_fd)
{
	struct settings *settings = maps->settings;
	struct settings_slot *slot = &settings->slots[settings->active & 1];
	struct filter_cgroup *cgroup = slot->cgroups;
	uint32_t absent = 0;

	for (uint32_t i = 0; i < config->filter_count; i++) {
		if (!config->filters[i].match.by_cgroup)
			continue;
		renew_cgroup(slot, cgroup, find_cgroup(root_fd, config->filters[i].cgroup));
		absent += cgroup->id == 0;
		cgroup++;
	}
	return absent;
}

/* --- what is in force --- */

static void fill(struct settings_slot *slot, const struct config *config, uint32_t version,
		 int root_fd)
{
	memset(slot, 0, sizeof(*slot));
	slot->generation = version;
	slot->families = config->families;
	slot->record_open = config->record_open;
	slot->filter_count = config->filter_count;
	for (uint32_t i = 0; i < config->filter_count; i++) {
		const struct config_filter *filter = &config->filters[i];

		slot->filters[i] = filter->match;
		if (!filter->match.by_cgroup)
			continue;
		slot->cgroups[slot->cgroup_count++] = (struct filter_cgroup){
			.id = find_cgroup(root_fd, filter->cgroup),
			.filter = i,
			.path = hash_path(filter->cgroup),
		};
	}
}

/* Whether they say the same, whatever the ids of the cgroups are by now. */
static bool same(const struct settings_slot *a, const struct settings_slot *b)
{
	if (memcmp(a, b, offsetof(struct settings_slot, cgroups)) != 0)
		return false;
	for (uint32_t i = 0; i < FILTERS_MAX; i++)
		if (a->cgroups[i].filter != b->cgroups[i].filter ||
		    a->cgroups[i].path != b->cgroups[i].path)
			return false;
	return true;
}

static void clear_hits(struct hits *hits, uint32_t slot)
{
	for (uint32_t cpu = 0; cpu < HITS_SLOTS; cpu++)
		memset(hits[cpu].of[slot], 0, sizeof(hits[cpu].of[slot]));
}

void settings_apply(struct settings_maps *maps, const struct config *config, uint32_t version,
		    int root_fd)
{
	struct settings *settings = maps->settings;
	uint32_t active = settings->active & 1, next = !active;
	struct settings_slot fresh;

	fill(&fresh, config, version, root_fd);
	fresh.revision = settings->slots[active].revision;
	/* An earlier loader has done it: its counts, and the ids it knew, go on. */
	if (same(&fresh, &settings->slots[active]))
		return;
	fresh.revision = next_revision(fresh.revision);
	settings->slots[next] = fresh;
	clear_hits(maps->hits, next);
	__atomic_store_n(&settings->active, next, __ATOMIC_RELEASE);
}

void settings_set_walk(struct settings *settings, uint64_t walk_id, uint64_t waits_until_ns)
{
	__atomic_store_n(&settings->walk_id, walk_id, __ATOMIC_RELAXED);
	__atomic_store_n(&settings->walk_waits_until_ns, waits_until_ns, __ATOMIC_RELAXED);
}

void settings_set_attached(struct settings *settings, uint32_t connect_returns, bool udp)
{
	__atomic_store_n(&settings->seeds_flows, udp, __ATOMIC_RELAXED);
	__atomic_store_n(&settings->connect_returns, connect_returns, __ATOMIC_RELEASE);
}

void settings_set_seeded(struct settings *settings, bool seeded)
{
	__atomic_store_n(&settings->seeded, seeded, __ATOMIC_RELEASE);
}

void settings_set_room(struct settings *settings, uint32_t room)
{
	__atomic_store_n(&settings->room, room, __ATOMIC_RELAXED);
}

void settings_set_layout(struct settings *settings)
{
	__atomic_store_n(&settings->layout, SETTINGS_LAYOUT, __ATOMIC_RELEASE);
}

void settings_put_in_charge(struct settings *settings, uint32_t generation)
{
	__atomic_store_n(&settings->generation, generation, __ATOMIC_RELEASE);
}

void settings_set_takeover(struct settings *settings, uint32_t generation)
{
	__atomic_store_n(&settings->takeover, generation, __ATOMIC_RELEASE);
	if (generation)
		grace_wait();
}
