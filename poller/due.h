/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a report is due: a pure function of what was reported, how that went, and a random number.
 * What is new is reported soon, what isn't once an hour; a server that fails is left in peace.
 */
#ifndef POLLER_DUE_H
#define POLLER_DUE_H

#include "poller/schedule.h"

/* Milliseconds: between two reports, give or take a fifth, or source.interval if that is less; and
   until what has not changed is reported again, likewise. */
#define DUE_SPACING_MS 60000u
#define DUE_AGAIN_MS   3600000u

/* Times are of a monotonic clock, in milliseconds. */
struct due {
	struct schedule spacing; /* failures lengthen it */
	bool any;                /* a report was taken */
	uint64_t hash;           /* of what it said */
	uint64_t next_ms;        /* the next one, not before */
	uint64_t again_ms;       /* and, if it says the same, not before */
};

/* A process begins, maybe together with those of a whole fleet: the first report is due within a
   spacing. random is any 64 random bits, here and below. */
void due_begin(struct due *due, uint32_t interval_ms, uint64_t now_ms, uint64_t random);

/* When what has this hash is due. */
uint64_t due_at_ms(const struct due *due, uint64_t hash);

/* A report of that has ended: taken or not. The server asks to be left alone for wait_ms. */
void due_note(struct due *due, uint64_t hash, bool taken, uint32_t wait_ms, uint64_t now_ms,
	      uint64_t random);

#endif
