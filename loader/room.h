/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much is remembered in the sockets' own storage, against what the memory budget has room for.
 * The kernel sets no limit, so the programs are told when there is no more room. They count what
 * they begin to remember and what goes away. But they are at times skipped by the kernel, and see
 * only the end of a socket that gets a copy of its listener's for a handshake that is never done
 * (TCP Fast Open): each whole walk puts that right.
 */
#ifndef LOADER_ROOM_H
#define LOADER_ROOM_H

#include <stdint.h>

#include "bpf/event.h"
#include "loader/settings.h"

/* Begins as zeroes, max apart. */
struct room {
	uint32_t max;    /* sockets that there is room for; 0: a table has its own limit */
	uint64_t walked; /* sockets that the last whole walk met, */
	int64_t then;    /* and by the counters at its end */
};

/* A whole walk has met so many sockets that something is remembered of; the counters' sums now. */
void room_walked(struct room *room, const struct counters *sum, uint64_t visits);

/* How many there are, by these sums. */
uint64_t room_taken(const struct room *room, const struct counters *sum);

/*
 * What settings.room is to be (enum settings_room), which was that before: none at max, and again
 * an eighth below it.
 */
uint32_t room_judge(const struct room *room, uint32_t before, uint64_t taken);

/* Tell the programs what they may do, by what is taken now, which is returned. */
uint64_t room_look(const struct room *room, struct settings_maps *maps);

/* When to look again, in milliseconds: soon where there may be no room by then. 0: never. */
uint32_t room_due_ms(const struct room *room, uint64_t taken);

#endif
