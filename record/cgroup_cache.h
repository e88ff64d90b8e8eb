/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroups that are known, by id, those that are gone included: a record can come after its
 * cgroup. Bounded; all memory is taken at the start and touched only as the cache fills.
 *
 * When it is full the place of the one that was asked for longest ago is used again; of those that
 * nobody asked for first. What was asked for fills three quarters at most, so however many cgroups
 * somebody makes, they push out only each other and what is older than those three quarters.
 */
#ifndef RECORD_CGROUP_CACHE_H
#define RECORD_CGROUP_CACHE_H

#include <stdint.h>

#include "record/cgroup_name.h"

struct cgroup_entry {
	uint64_t id;
	int watch;      /* of the directory; -1 = none */
	uint32_t chain; /* entry numbers + 1, 0 = none: next of the same hash; ... */
	uint32_t newer; /* ... neighbours in its list */
	uint32_t older;
	uint32_t asked; /* which list */
	struct cgroup_name name;
};

struct cgroup_list {
	uint32_t newest;
	uint32_t oldest;
	uint32_t count;
};

struct cgroup_cache {
	struct cgroup_entry *entries;
	uint32_t *chains;
	uint32_t max;
	uint32_t count; /* entries from here on were never used */
	uint32_t chain_mask;
	struct cgroup_list lists[2]; /* only seen; asked for */
};

/* Returns 0 or a negative errno. max from 4 to 2^20. */
int cgroup_cache_open(struct cgroup_cache *cache, uint32_t max);
void cgroup_cache_close(struct cgroup_cache *cache);

/* NULL if there is none. */
struct cgroup_entry *cgroup_cache_find(const struct cgroup_cache *cache, uint64_t id);

/* It was asked for. */
void cgroup_cache_touch(struct cgroup_cache *cache, struct cgroup_entry *entry);

/*
 * The entry whose place the next one gets, NULL while there is room. What it holds besides memory
 * (watch) is the caller's to give back before cgroup_cache_add().
 */
struct cgroup_entry *cgroup_cache_victim(const struct cgroup_cache *cache);

/* An entry for an id that isn't there yet, without a watch, its name all zero. */
struct cgroup_entry *cgroup_cache_add(struct cgroup_cache *cache, uint64_t id);

/* Those with a watch only, NULL if there is none. They look at all entries. */
struct cgroup_entry *cgroup_cache_at_watch(const struct cgroup_cache *cache, int watch);
struct cgroup_entry *cgroup_cache_at_path(const struct cgroup_cache *cache, const char *path);

#endif
