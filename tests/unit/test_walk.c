/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of a walk. A file stands in for the kernel's iterator: a visit is a byte. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/walk.h"

#define VISITS (30 * WALK_SLICE + 7)

static const int none[] = {-1};

/* As walk_begin() and the first visit leave it. */
static void begin_at(struct walk *walk, int fd)
{
	assert_true(fd >= 0);
	walk_begin(walk, none, 1, WALK_SLICE, false);
	walk->fd = fd;
	walk->began = true;
}

static int file_of(size_t bytes)
{
	int fd = memfd_create("visits", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void test_walk_counts_visits_slices_and_time(void **state)
{
	struct walk_stats stats = {.slice_worst_us = 0};
	uint64_t pause_ns = 0, paused_ns = 0;
	struct walk walk;
	int got, steps = 1;

	(void)state;
	begin_at(&walk, file_of(VISITS));
	while ((got = walk_step(&walk, &stats, &pause_ns)) == 1) {
		assert_int_equal(walk.visits, (uint64_t)steps * WALK_SLICE);
		usleep((useconds_t)(pause_ns / 1000));
		paused_ns += pause_ns;
		steps++;
		assert_int_equal(stats.walks, 0);
	}
	assert_int_equal(got, 0);
	assert_int_equal(steps, 31);
	assert_int_equal(stats.walks, 1);
	assert_int_equal(stats.failed, 0);
	assert_int_equal(stats.visits, VISITS);
	assert_int_equal(stats.slices, steps);
	assert_in_range(stats.last_us, paused_ns / 1000, 10000000);
	assert_int_equal(stats.longest_us, stats.last_us);
	assert_in_range(stats.busy_us, 1, stats.last_us);
	assert_in_range(stats.slice_worst_us, stats.busy_us / (uint64_t)steps, stats.busy_us);

	/* A shorter one: the longest stays, the rest is that of the last. */
	begin_at(&walk, file_of(1));
	assert_int_equal(walk_step(&walk, &stats, &pause_ns), 0);
	assert_int_equal(stats.walks, 2);
	assert_int_equal(stats.visits, 1);
	assert_int_equal(stats.slices, 1);
	assert_true(stats.last_us < stats.longest_us);
}

static void test_walk_that_fails_is_counted_as_such(void **state)
{
	struct walk_stats stats = {0};
	uint64_t pause_ns;
	struct walk walk;

	(void)state;
	begin_at(&walk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_int_equal(walk_step(&walk, &stats, &pause_ns), -EISDIR);
	assert_int_equal(stats.failed, 1);
	begin_at(&walk, file_of(VISITS));
	walk.begin_ns -= WALK_MOST_NS;
	assert_int_equal(walk_step(&walk, &stats, &pause_ns), -ETIMEDOUT);
	assert_int_equal(stats.failed, 2);
	assert_int_equal(stats.walks, 0);
}

static void test_walk_waits_for_the_reader_for_so_long_in_all(void **state)
{
	struct walk_stats stats = {0};
	uint64_t pause_ns = 0;
	struct walk walk;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	begin_at(&walk, fds[0]);
	for (uint64_t waited = 0; waited < WALK_WAITS_NS; waited += pause_ns) {
		assert_int_equal(walk_waits_ns(&walk), WALK_WAITS_NS - waited);
		assert_int_equal(walk_step(&walk, &stats, &pause_ns), 1);
		assert_true(pause_ns > 0);
	}
	assert_int_equal(walk_waits_ns(&walk), 0);
	close(fds[1]);
	assert_int_equal(walk_step(&walk, &stats, &pause_ns), 0);
	assert_int_equal(stats.visits, 0);
}

static void count_slice(void *slices)
{
	++*(int *)slices;
}

static void test_walk_by_nothing_is_none(void **state)
{
	struct walk_stats stats = {0};
	int slices = 0;

	(void)state;
	assert_int_equal(walk_run(none, 1, &stats, count_slice, &slices), 0);
	assert_int_equal(stats.walks, 0);
	assert_int_equal(slices, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk_counts_visits_slices_and_time),
		cmocka_unit_test(test_walk_that_fails_is_counted_as_such),
		cmocka_unit_test(test_walk_waits_for_the_reader_for_so_long_in_all),
		cmocka_unit_test(test_walk_by_nothing_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
