/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that are live now, by socket cookie, each with its latest record. All memory is
 * taken at the start and touched only as the table fills; nothing is allocated per record.
 */
#ifndef EXPORTER_LIVE_H
#define EXPORTER_LIVE_H

#include <stdint.h>

#include "bpf/event.h"

/* A connection not met in this many whole walks is gone, though its close was lost. */
#define LIVE_WALKS_MISSED 2u

struct live_entry {
	struct event event;
	uint64_t walks; /* live.walks when last met */
	uint32_t next;  /* in its chain, or in the free list; entry number + 1, 0 = none */
	uint32_t used;  /* 0 or 1 */
};

struct live {
	struct live_entry *entries;
	uint32_t *chains;
	uint32_t max;
	uint32_t count;
	uint32_t high;       /* entries from here on were never used */
	uint32_t free;       /* entry number + 1 */
	uint32_t chain_mask; /* number of chains - 1 */
	uint64_t walks;      /* live_walk() calls */
};

/* Returns 0 or a negative errno. max from 1 to 2^30. */
int live_open(struct live *live, uint32_t max);
void live_close(struct live *live);

/* Add a connection or renew its record. Returns 0, or -ENOSPC when the table is full. */
int live_put(struct live *live, const struct event *event);

/* An unknown cookie is ignored. */
void live_remove(struct live *live, uint64_t cookie);

/*
 * A walk ended that reported every connection: forget what was not met in the last
 * LIVE_WALKS_MISSED of them. A walk that had to leave some out is none to judge by.
 */
void live_walk(struct live *live);

/* The first record at or after *cursor, which moves behind it (begin with 0); NULL at the end. */
const struct event *live_next(const struct live *live, uint32_t *cursor);

#endif
