/* SPDX-License-Identifier: Apache-2.0 */
/* The bounded table of live connections. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exporter/live.h"

#define MAX 1000u

static struct live live;

static int setup(void **state)
{
	(void)state;
	return live_open(&live, MAX);
}

static int teardown(void **state)
{
	(void)state;
	live_close(&live);
	return 0;
}

static int put(uint64_t cookie, uint64_t bytes)
{
	struct event event = {.cookie = cookie, .bytes_sent = bytes};

	return live_put(&live, &event);
}

/* Counts the entries and checks that none is there twice. */
static uint32_t walk_through(uint64_t *cookies)
{
	const struct event *event;
	uint32_t cursor = 0, count = 0;

	while ((event = live_next(&live, &cursor))) {
		assert_true(count < MAX);
		cookies[count++] = event->cookie;
	}
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_true(cookies[i] != cookies[k]);
	return count;
}

static uint32_t count(void)
{
	static uint64_t cookies[MAX];
	uint32_t n = walk_through(cookies);

	assert_int_equal(n, live.count);
	return n;
}

static void test_live_keeps_the_latest_record(void **state)
{
	uint32_t cursor = 0;

	(void)state;
	assert_int_equal(put(7, 1), 0);
	assert_int_equal(put(7, 2), 0);
	assert_int_equal(count(), 1);
	assert_int_equal(live_next(&live, &cursor)->bytes_sent, 2);
}

static void test_live_forgets_the_closed(void **state)
{
	(void)state;
	put(1, 0);
	put(2, 0);
	live_remove(&live, 1);
	live_remove(&live, 1);
	live_remove(&live, 99);
	assert_int_equal(count(), 1);
}

static void test_live_takes_no_more_than_its_bound(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < MAX; i++)
		assert_int_equal(put(i << 32, 0), 0);
	assert_int_equal(put(UINT64_MAX, 0), -ENOSPC);
	assert_int_equal(put(5ull << 32, 9), 0);
	live_remove(&live, 5ull << 32);
	assert_int_equal(put(UINT64_MAX, 0), 0);
	assert_int_equal(put(5ull << 32, 0), -ENOSPC);
	assert_int_equal(count(), MAX);
}

static void test_live_places_are_used_again(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 50 * MAX; i++) {
		assert_int_equal(put(i, 0), 0);
		if (i >= 10)
			live_remove(&live, i - 10);
	}
	assert_int_equal(count(), 10);
	assert_true(live.high <= 12);
}

static void test_live_what_does_not_change_stays(void **state)
{
	(void)state;
	put(1, 0);
	for (uint32_t i = 0; i < 3 * LIVE_WALKS; i++)
		live_walk(&live, live.generation);
	assert_int_equal(count(), 1);
}

static void test_live_what_no_walk_of_a_generation_meets_expires(void **state)
{
	(void)state;
	put(1, 0);
	put(2, 0);
	put(3, 0);
	live_begin(&live, 5);
	live_walk(&live, 4); /* it began before */
	put(2, 0);
	for (uint32_t i = 1; i < LIVE_WALKS; i++)
		live_walk(&live, 5);
	put(3, 0); /* a late one */
	assert_int_equal(count(), 3);
	live_walk(&live, 5);
	assert_int_equal(count(), 2);
	live_walk(&live, 5);
	live_walk(&live, 6);
	assert_int_equal(count(), 2);
	live_remove(&live, 2);
	assert_int_equal(count(), 1);
}

static void test_live_refuses_a_size_that_makes_no_sense(void **state)
{
	struct live other;

	(void)state;
	assert_int_equal(live_open(&other, 0), -EINVAL);
	assert_int_equal(live_open(&other, UINT32_MAX), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_live_keeps_the_latest_record),
		TEST(test_live_forgets_the_closed),
		TEST(test_live_takes_no_more_than_its_bound),
		TEST(test_live_places_are_used_again),
		TEST(test_live_what_does_not_change_stays),
		TEST(test_live_what_no_walk_of_a_generation_meets_expires),
		TEST(test_live_refuses_a_size_that_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
