/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are live by the counters and that no walk meets: no program saw their end, and
 * what was remembered of them went with the socket. A walk takes a while, so what it should have
 * met at least is what was live when it began, less what has ended since. If it pauses, it goes on
 * at a place of a list, from which a socket that was destroyed meanwhile may have moved another
 * one: so many at most it has passed over. What two walks in a row lack even so is gone. Pure.
 */
#ifndef LOADER_UNSEEN_H
#define LOADER_UNSEEN_H

#include <stdint.h>

#include "bpf/event.h"

#define UNSEEN_WALKS 2u

/* Begins as zeroes. */
struct unseen {
	uint64_t live; /* when the walk under way began */
	uint64_t closed;
	uint64_t destroyed;
	int64_t lacking[UNSEEN_WALKS]; /* of the latest walks: so many at least were not there */
	uint32_t walks;
};

/* A whole walk begins, with these sums of the counters. */
void unseen_begin(struct unseen *unseen, const struct counters *sum);

/*
 * It has met so many that are older than itself, in so many slices; the sums now. Returns how many
 * connections have ended unseen and were not returned before: the caller counts them as closed.
 */
uint64_t unseen_end(struct unseen *unseen, const struct counters *sum, uint64_t met,
		    uint64_t slices);

#endif
