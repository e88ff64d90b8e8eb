/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk: reading an iterator makes the kernel visit every socket, UDP flow or file. It is cut into
 * slices, with pauses between them, so that no CPU is kept from others for longer than a slice.
 */
#ifndef LOADER_WALK_H
#define LOADER_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Visits of a slice, which is one read(2): bpf/slice.h. They take a millisecond, two if all of them
 * have changed. To go on the kernel counts through a list of the map to where it was, of which it
 * has one for each possible CPU: some 6 ms with 100,000 sockets in two lists, so more slices would
 * cost more and be no shorter.
 */
#define WALK_SLICE 2048u

/* By files, which the kernel goes on with from where it was, and is kept busy by no longer. */
#define WALK_SLICE_FILES 512u

/*
 * From this many sockets on in each of the lists counting through one takes more than a
 * millisecond: then most walks go by the files of all processes, which the kernel goes on with from
 * where it was. One in so many is whole all the same.
 */
#define WALK_LIST_LONG  10000u
#define WALK_WHOLE_EACH 16u

/* The pause after a slice, in times of what it used of a CPU; and if somebody waits for the end. */
#define WALK_REST         3u
#define WALK_REST_AWAITED 1u

/* How long a snapshot walk may wait, in all, for the reader of the ring. */
#define WALK_WAITS_NS 800000000ull

/* After this a walk is given up: sockets are made faster than it gets on. */
#define WALK_MOST_NS 60000000000ull

#define WALK_ITERATORS_MAX 2u

struct walk_stats {
	uint64_t walks;
	uint64_t failed;
	uint64_t last_us; /* from begin to end, with the pauses */
	uint64_t longest_us;
	uint64_t busy_us;        /* CPU time of the last walk */
	uint64_t visits;         /* of the last walk */
	uint64_t slices;         /* of the last walk */
	uint64_t slice_worst_us; /* of all walks */
};

struct walk {
	int links[WALK_ITERATORS_MAX];
	size_t count;
	size_t next; /* iterator to be made */
	size_t slice;
	int fd;     /* the one under way; -1 = none */
	bool began; /* there is something to walk by */
	bool awaited;
	uint64_t begin_ns;
	uint64_t busy_ns;
	uint64_t waited_ns; /* for the reader of the ring */
	uint64_t visits;
	uint64_t slices;
};

/*
 * Begin a walk by each of these iterators (their links; -1 = none) in their order, the last of
 * which writes the end of the walk. count is at most WALK_ITERATORS_MAX, slice WALK_SLICE. awaited:
 * somebody waits for its end.
 */
void walk_begin(struct walk *walk, const int *link_fds, size_t count, size_t slice, bool awaited);

/*
 * The next slice. Returns 1 if there is more to do after *pause_ns, 0 at the end, or a negative
 * errno that ended it (-ETIMEDOUT: given up); both are counted, unless there is nothing to walk by.
 * The records go into the ring. While the ring is half full a walk gets on only when the time in
 * the settings is over: then it leaves updates out. So that is to be walk_waits_ns() from now.
 */
int walk_step(struct walk *walk, struct walk_stats *stats, uint64_t *pause_ns);

/* In how many lists the kernel keeps the sockets of a map (bpf_local_storage_map_alloc()). */
uint32_t walk_lists(void);

/* For how much longer the walk may wait for the reader of the ring. */
uint64_t walk_waits_ns(const struct walk *walk);

/*
 * A walk by files, the pauses slept through. after_slice is called after each slice. Returns as
 * walk_step() does at the end.
 */
int walk_run(const int *link_fds, size_t count, struct walk_stats *stats,
	     void (*after_slice)(void *ctx), void *ctx);

#endif
