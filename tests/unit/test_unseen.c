/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loader/unseen.h"

/* A walk: live connections by the counters, those that end meanwhile, and those met. */
static uint64_t walk(struct unseen *unseen, uint64_t live, uint64_t ended, uint64_t met)
{
	struct counters sum = {.opened_connect = 1000 + live, .closed = 1000};

	unseen_begin(unseen, &sum);
	sum.opened_connect += 7; /* what begins meanwhile proves nothing */
	sum.closed += ended;
	return unseen_end(unseen, &sum, met, 1);
}

static void test_unseen_nothing_is_gone_where_all_are_met(void **state)
{
	struct unseen unseen = {0};

	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(walk(&unseen, 50, 0, 50), 0);
		assert_int_equal(walk(&unseen, 50, 0, 57), 0);
		assert_int_equal(walk(&unseen, 50, 20, 30), 0);
	}
}

static void test_unseen_what_all_walks_lack_is_gone_and_told_once(void **state)
{
	struct unseen unseen = {0};

	(void)state;
	for (uint32_t i = 0; i < UNSEEN_WALKS - 1; i++)
		assert_int_equal(walk(&unseen, 50, 0, 43), 0);
	assert_int_equal(walk(&unseen, 50, 0, 43), 7);
	/* The caller has counted them. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(walk(&unseen, 43, 0, 43), 0);
}

static void test_unseen_the_walk_that_met_most_decides(void **state)
{
	struct unseen unseen = {0};

	(void)state;
	assert_int_equal(walk(&unseen, 50, 0, 10), 0);
	assert_int_equal(walk(&unseen, 50, 0, 48), 2);
	assert_int_equal(walk(&unseen, 48, 0, 48), 0);
	assert_int_equal(walk(&unseen, 48, 0, 20), 0);
	assert_int_equal(walk(&unseen, 48, 0, 30), 18);
}

static void test_unseen_a_walk_with_pauses_may_pass_over_what_moved(void **state)
{
	struct counters sum = {.opened_accept = 50};
	struct unseen unseen = {0};

	(void)state;
	for (int i = 0; i < 5; i++) {
		unseen_begin(&unseen, &sum);
		sum.destroyed += 4;
		assert_int_equal(unseen_end(&unseen, &sum, 46, 2), 0);
	}
	for (int i = 0; i < 2; i++) {
		unseen_begin(&unseen, &sum);
		sum.destroyed += 4;
		assert_int_equal(unseen_end(&unseen, &sum, 45, 2), i);
	}
	sum.closed++;
	for (int i = 0; i < 2; i++) {
		unseen_begin(&unseen, &sum);
		sum.destroyed += 4;
		assert_int_equal(unseen_end(&unseen, &sum, 45, 1), 4 * i);
	}
}

static void test_unseen_one_walk_that_lacks_some_proves_nothing(void **state)
{
	struct unseen unseen = {0};

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(walk(&unseen, 50, 0, i % 2 ? 0 : 50), 0);
}

static void test_unseen_more_come_later(void **state)
{
	struct unseen unseen = {0};

	(void)state;
	assert_int_equal(walk(&unseen, 50, 0, 49), 0);
	assert_int_equal(walk(&unseen, 50, 0, 45), 1);
	assert_int_equal(walk(&unseen, 49, 0, 45), 4);
	assert_int_equal(walk(&unseen, 45, 0, 45), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unseen_nothing_is_gone_where_all_are_met),
		cmocka_unit_test(test_unseen_what_all_walks_lack_is_gone_and_told_once),
		cmocka_unit_test(test_unseen_the_walk_that_met_most_decides),
		cmocka_unit_test(test_unseen_a_walk_with_pauses_may_pass_over_what_moved),
		cmocka_unit_test(test_unseen_one_walk_that_lacks_some_proves_nothing),
		cmocka_unit_test(test_unseen_more_come_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
