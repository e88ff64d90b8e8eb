/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections that are live now, by socket cookie, each with its latest record. All memory is
 * taken at the start and touched only as the table fills; nothing is allocated per record.
 */
#ifndef EXPORTER_LIVE_H
#define EXPORTER_LIVE_H

#include <stdint.h>

#include "bpf/event.h"

/*
 * A connection that so many whole walks did not meet is gone, though its close was lost. The kernel
 * goes on with a walk by counting, so one can pass over a connection while others end.
 */
#define LIVE_WALKS 2u

struct live_entry {
	struct event event;
	uint64_t generation; /* live.generation when last met */
	uint32_t next;       /* in its chain, or in the free list; entry number + 1, 0 = none */
	uint32_t used;       /* 0 or 1 */
};

struct live {
	struct live_entry *entries;
	uint32_t *chains;
	uint32_t max;
	uint32_t count;
	uint32_t high;       /* entries from here on were never used */
	uint32_t free;       /* entry number + 1 */
	uint32_t chain_mask; /* number of chains - 1 */
	uint64_t generation;
	uint32_t walks; /* whole ones of this generation */
};

/* Returns 0 or a negative errno. max from 1 to 2^30. */
int live_open(struct live *live, uint32_t max);
void live_close(struct live *live);

/* Add a connection or renew its record. Returns 0, or -ENOSPC when the table is full. */
int live_put(struct live *live, const struct event *event);

/* An unknown cookie is ignored. */
void live_remove(struct live *live, uint64_t cookie);

/*
 * From now on every connection is to be met anew, since the table may lack some, or hold some that
 * are gone. Nothing is forgotten before live_walk() says so.
 */
void live_begin(struct live *live, uint64_t generation);

/*
 * A walk ended that left no record out that was due in this generation: after LIVE_WALKS of them
 * forget what was not met since live_begin().
 */
void live_walk(struct live *live, uint64_t generation);

/* The first record at or after *cursor, which moves behind it (begin with 0); NULL at the end. */
const struct event *live_next(const struct live *live, uint32_t *cursor);

#endif
