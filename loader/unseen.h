/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that are live by the counters and that no walk meets: no program saw their end, and
 * what was remembered of them went with the socket. A walk takes a while, so what it should have
 * met at least is what was live when it began, less what has ended since. It can miss a connection
 * when the list it goes through changes under it; but what several walks in a row lack is gone.
 * Pure.
 */
#ifndef LOADER_UNSEEN_H
#define LOADER_UNSEEN_H

#include <stdint.h>

#include "bpf/event.h"

/* So many whole walks in a row have to lack a connection. */
#define UNSEEN_WALKS 4u

/* Begins as zeroes. */
struct unseen {
	uint64_t live; /* when the walk under way began */
	uint64_t closed;
	int64_t lacking[UNSEEN_WALKS]; /* of the latest walks: so many at least were not there */
	uint32_t walks;
};

/* A whole walk begins, with these sums of the counters. */
void unseen_begin(struct unseen *unseen, const struct counters *sum);

/*
 * It has met so many; the sums now. Returns how many connections have ended unseen and were not
 * returned before: the caller counts them as closed.
 */
uint64_t unseen_end(struct unseen *unseen, const struct counters *sum, uint64_t met);

#endif
