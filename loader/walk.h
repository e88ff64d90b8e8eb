/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot walk: reading an iterator makes the kernel visit every socket. */
#ifndef LOADER_WALK_H
#define LOADER_WALK_H

#include <stddef.h>
#include <stdint.h>

/* How long a snapshot walk may wait, in all, for the reader of the ring. */
#define WALK_WAITS_NS 800000000ull

struct walk_stats {
	uint64_t walks;
	uint64_t failed;
	uint64_t last_us;
	uint64_t longest_us;
};

/*
 * Walk once, by each of these iterators in their order (-1 = none), the last of which writes the
 * end of the walk; blocks until that is done. The records go into the ring. While the ring is half
 * full the walk waits, until the time in the settings: then it leaves updates out. Returns 0 or a
 * negative errno (-ENOBUFS: given up), and counts either way, unless there is nothing to walk by.
 */
int walk_run(const int *link_fds, size_t count, struct walk_stats *stats);

/* Runs of a program that the kernel skipped because it was running on that CPU; 0 if unknown. */
uint64_t walk_missed_runs(int prog_fd);

#endif
