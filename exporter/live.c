/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/live.h"

#include <errno.h>
#include <string.h>

#include "common/pages.h"

int live_open(struct live *live, uint32_t max)
{
	if (max == 0 || max > 1u << 30)
		return -EINVAL;
	memset(live, 0, sizeof(*live));
	live->max = max;
	live->entries =
		pages_take_table(max, sizeof(live->entries[0]), &live->chains, &live->chain_mask);
	return live->entries ? 0 : -ENOMEM;
}

void live_close(struct live *live)
{
	pages_give_table(live->entries, live->max, sizeof(live->entries[0]), live->chains);
	memset(live, 0, sizeof(*live));
}

/* Where the number of the entry with this cookie stands; where it would stand if there is none. */
static uint32_t *find_link(struct live *live, uint64_t cookie)
{
	/* Cookies count up: a multiplicative hash spreads them well. */
	uint32_t hash = (uint32_t)((cookie * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
	uint32_t *link = &live->chains[hash & live->chain_mask];

	while (*link && live->entries[*link - 1].event.cookie != cookie)
		link = &live->entries[*link - 1].next;
	return link;
}

static uint32_t take_entry(struct live *live)
{
	uint32_t number = live->free;

	if (number)
		live->free = live->entries[number - 1].next;
	else if (live->high < live->max)
		number = ++live->high;
	return number;
}

int live_put(struct live *live, const struct event *event)
{
	uint32_t *link = find_link(live, event->cookie);
	struct live_entry *entry;

	if (!*link) {
		uint32_t number = take_entry(live);

		if (!number)
			return -ENOSPC;
		*link = number;
		entry = &live->entries[number - 1];
		entry->next = 0;
		entry->used = 1;
		live->count++;
	}
	entry = &live->entries[*link - 1];
	entry->event = *event;
	entry->generation = live->generation;
	return 0;
}

static void unlink_entry(struct live *live, uint32_t *link)
{
	uint32_t number = *link;
	struct live_entry *entry = &live->entries[number - 1];

	*link = entry->next;
	entry->used = 0;
	entry->next = live->free;
	live->free = number;
	live->count--;
}

void live_remove(struct live *live, uint64_t cookie)
{
	uint32_t *link = find_link(live, cookie);

	if (*link)
		unlink_entry(live, link);
}

void live_begin(struct live *live, uint64_t generation)
{
	live->generation = generation;
	live->walks = 0;
}

static void forget_unmet(struct live *live)
{
	for (uint32_t i = 0; i < live->high; i++) {
		const struct live_entry *entry = &live->entries[i];

		if (entry->used && entry->generation != live->generation)
			unlink_entry(live, find_link(live, entry->event.cookie));
	}
}

void live_walk(struct live *live, uint64_t generation)
{
	if (generation == live->generation && ++live->walks == LIVE_WALKS)
		forget_unmet(live);
}

const struct event *live_next(const struct live *live, uint32_t *cursor)
{
	while (*cursor < live->high) {
		const struct live_entry *entry = &live->entries[(*cursor)++];

		if (entry->used)
			return &entry->event;
	}
	return NULL;
}
