/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/walk.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"

/* Until the reader of the ring is looked after again. */
#define WAIT_NS 2000000ull

#define PAUSE_LEAST_NS 1000000ull
#define PAUSE_MOST_NS  100000000ull

/* What this thread has used of a CPU: whatever else runs on it meanwhile is not ours. */
static uint64_t used_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void close_iterator(struct walk *walk)
{
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = -1;
}

/* Returns whether there is another one, and its fd or a negative errno in walk->fd. */
static bool next_iterator(struct walk *walk)
{
	while (walk->next < walk->count && walk->links[walk->next] < 0)
		walk->next++;
	if (walk->next == walk->count)
		return false;
	walk->fd = bpf_iter_create(walk->links[walk->next++]);
	if (walk->fd < 0)
		walk->fd = -errno;
	walk->began = true;
	return true;
}

/* A slice of visits. Returns 1, 0 at the end, or a negative errno (-EAGAIN: it waits). */
static int visit(struct walk *walk)
{
	size_t left = walk->slice;
	char visits[WALK_SLICE];

	while (left) {
		ssize_t n;

		if (walk->fd < 0 && !next_iterator(walk))
			return 0;
		if (walk->fd < 0)
			return walk->fd;
		n = read(walk->fd, visits, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			close_iterator(walk);
		walk->visits += (uint64_t)n;
		left -= (size_t)n;
	}
	return 1;
}

void walk_begin(struct walk *walk, const int *link_fds, size_t count, size_t slice, bool awaited)
{
	*walk = (struct walk){
		.fd = -1, .slice = slice, .awaited = awaited, .begin_ns = loop_now_ns()};
	for (; walk->count < count && walk->count < WALK_ITERATORS_MAX; walk->count++)
		walk->links[walk->count] = link_fds[walk->count];
}

static int end(struct walk *walk, struct walk_stats *stats, uint64_t now_ns, int err)
{
	close_iterator(walk);
	if (err) {
		stats->failed++;
		return err;
	}
	if (!walk->began)
		return 0;
	stats->walks++;
	stats->last_us = (now_ns - walk->begin_ns) / 1000;
	if (stats->last_us > stats->longest_us)
		stats->longest_us = stats->last_us;
	stats->busy_us = walk->busy_ns / 1000;
	stats->visits = walk->visits;
	stats->slices = walk->slices;
	return 0;
}

static uint64_t pause_after(const struct walk *walk, uint64_t slice_ns)
{
	uint64_t pause_ns = (walk->awaited ? WALK_REST_AWAITED : WALK_REST) * slice_ns;

	pause_ns = pause_ns < PAUSE_LEAST_NS ? PAUSE_LEAST_NS : pause_ns;
	return pause_ns > PAUSE_MOST_NS ? PAUSE_MOST_NS : pause_ns;
}

int walk_step(struct walk *walk, struct walk_stats *stats, uint64_t *pause_ns)
{
	uint64_t before_ns = used_ns();
	int got = visit(walk);
	uint64_t slice_ns = used_ns() - before_ns, now_ns = loop_now_ns();

	walk->busy_ns += slice_ns;
	walk->slices++;
	if (slice_ns / 1000 > stats->slice_worst_us)
		stats->slice_worst_us = slice_ns / 1000;
	if (got != 1 && got != -EAGAIN)
		return end(walk, stats, now_ns, got);
	if (now_ns - walk->begin_ns > WALK_MOST_NS)
		return end(walk, stats, now_ns, -ETIMEDOUT);
	*pause_ns = got == 1 ? pause_after(walk, slice_ns) : WAIT_NS;
	if (got == -EAGAIN)
		walk->waited_ns += WAIT_NS;
	return 1;
}

uint32_t walk_lists(void)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t lists = 2;

	while (cpus > 0 && lists < (uint32_t)cpus)
		lists *= 2;
	return lists;
}

uint64_t walk_waits_ns(const struct walk *walk)
{
	return walk->waited_ns < WALK_WAITS_NS ? WALK_WAITS_NS - walk->waited_ns : 0;
}

int walk_run(const int *link_fds, size_t count, struct walk_stats *stats,
	     void (*after_slice)(void *ctx), void *ctx)
{
	uint64_t pause_ns = 0;
	struct walk walk;
	int got;

	walk_begin(&walk, link_fds, count, WALK_SLICE_FILES, true);
	while ((got = walk_step(&walk, stats, &pause_ns)) == 1) {
		const struct timespec pause = {.tv_nsec = (long)pause_ns};

		after_slice(ctx);
		(void)nanosleep(&pause, NULL);
	}
	return got;
}
