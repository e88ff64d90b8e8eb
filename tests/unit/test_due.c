/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "poller/due.h"

#define MINUTE_MS 60000u
#define HOUR_MS   3600000u
#define NOW_MS    UINT64_C(1000000)

/* All random bits at their least and at their most. */
static const uint64_t bounds[] = {0, UINT64_MAX};

static struct due begun(uint32_t interval_ms, uint64_t random)
{
	struct due due;

	due_begin(&due, interval_ms, NOW_MS, random);
	return due;
}

static void test_due_spreads_the_first_over_a_spacing(void **state)
{
	struct due due = begun(HOUR_MS, 0);

	(void)state;
	assert_int_equal(due_at_ms(&due, 1), NOW_MS);
	due = begun(HOUR_MS, MINUTE_MS);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS + MINUTE_MS);
	due = begun(HOUR_MS, MINUTE_MS + 1);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS);
	due = begun(200, 200);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS + 200);
	due = begun(200, 201);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS);
}

static void test_due_is_what_is_new_soon_and_what_is_not_in_an_hour(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct due due = begun(5 * MINUTE_MS, 0);

		due_note(&due, 1, true, 0, NOW_MS, bounds[i]);
		assert_int_equal(due_at_ms(&due, 2), NOW_MS + MINUTE_MS / 5 * (i ? 6 : 4));
		assert_int_equal(due_at_ms(&due, 1), NOW_MS + HOUR_MS / 5 * (i ? 6 : 4));
	}
}

static void test_due_leaves_a_server_that_fails_in_peace(void **state)
{
	struct due due = begun(MINUTE_MS, 0);

	(void)state;
	due_note(&due, 1, false, 0, NOW_MS, 0);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS + MINUTE_MS / 5 * 4 + MINUTE_MS);
	for (int i = 0; i < 50; i++)
		due_note(&due, 1, false, 0, NOW_MS, UINT64_MAX);
	/* What was not taken is as new as ever. */
	assert_int_equal(due_at_ms(&due, 1), NOW_MS + MINUTE_MS / 5 * 6 + HOUR_MS);
	assert_int_equal(due_at_ms(&due, 2), due_at_ms(&due, 1));
}

static void test_due_reports_again_what_was_not_taken_after_an_hour(void **state)
{
	struct due due = begun(MINUTE_MS, 0);
	uint64_t later_ms = NOW_MS + HOUR_MS / 5 * 4;

	(void)state;
	due_note(&due, 1, true, 0, NOW_MS, 0);
	assert_int_equal(due_at_ms(&due, 1), later_ms);
	due_note(&due, 1, false, 0, later_ms, 0);
	assert_int_equal(due_at_ms(&due, 1), later_ms + MINUTE_MS / 5 * 4 + MINUTE_MS);
}

static void test_due_waits_as_long_as_a_server_asks(void **state)
{
	struct due due = begun(MINUTE_MS, 0);

	(void)state;
	due_note(&due, 1, false, 10 * MINUTE_MS, NOW_MS, 0);
	assert_int_equal(due_at_ms(&due, 1), NOW_MS + 10 * MINUTE_MS);
	due_note(&due, 1, true, 10 * MINUTE_MS, NOW_MS, 0);
	assert_int_equal(due_at_ms(&due, 2), NOW_MS + 10 * MINUTE_MS);
	due_note(&due, 1, true, 1, NOW_MS, 0);
	assert_int_equal(due_at_ms(&due, 2), NOW_MS + MINUTE_MS / 5 * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due_spreads_the_first_over_a_spacing),
		cmocka_unit_test(test_due_is_what_is_new_soon_and_what_is_not_in_an_hour),
		cmocka_unit_test(test_due_leaves_a_server_that_fails_in_peace),
		cmocka_unit_test(test_due_reports_again_what_was_not_taken_after_an_hour),
		cmocka_unit_test(test_due_waits_as_long_as_a_server_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
