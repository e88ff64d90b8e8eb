/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "poller/schedule.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HOUR_MS      3600000u
#define DAY_MS       (24 * HOUR_MS)

/* All random bits at their least and at their most give the bounds of the wait. */
static const struct {
	uint32_t interval_ms, errors;
	uint64_t least, most;
} waits[] = {
	{60000, 0, 48000, 72000},
	{60000, 1, 48000 + 60000, 72000 + 120000},
	{60000, 2, 48000 + 120000, 72000 + 240000},
	{60000, 3, 48000 + 240000, 72000 + 480000},
	{60000, 6, 48000 + 1920000, 72000 + HOUR_MS},
	{60000, 7, 48000 + HOUR_MS, 72000 + HOUR_MS},
	{60000, 32, 48000 + HOUR_MS, 72000 + HOUR_MS},
	{100, 0, 80, 120},
	{100, 1, 180, 320},
	{100, 4, 880, 1720},
	{250, 0, 200, 300},
	{HOUR_MS, 1, HOUR_MS / 5 * 4 + HOUR_MS, HOUR_MS / 5 * 6 + HOUR_MS},
	{DAY_MS, 0, DAY_MS / 5 * 4, DAY_MS / 5 * 6},
	{DAY_MS, 32, DAY_MS / 5 * 4 + DAY_MS, DAY_MS / 5 * 6 + DAY_MS},
};

static void test_schedule_waits_within_its_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(waits); i++) {
		const struct schedule schedule = {.interval_ms = waits[i].interval_ms,
						  .succeeded = true,
						  .errors = waits[i].errors};
		uint64_t random = 1;

		assert_int_equal(schedule_next_ms(&schedule, 0), waits[i].least);
		assert_int_equal(schedule_next_ms(&schedule, UINT64_MAX), waits[i].most);
		for (int n = 0; n < 1000; n++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
			assert_in_range(schedule_next_ms(&schedule, random), waits[i].least,
					waits[i].most);
		}
	}
}

/* The wait after errors does not follow from the jitter. */
static void test_schedule_draws_jitter_and_back_off_apart(void **state)
{
	const struct schedule schedule = {.interval_ms = 1000, .succeeded = true, .errors = 1};

	(void)state;
	assert_int_equal(schedule_next_ms(&schedule, UINT32_MAX), 1200 + 1000);
	assert_int_equal(schedule_next_ms(&schedule, (uint64_t)UINT32_MAX << 32), 800 + 2000);
}

static void test_schedule_tries_each_second_until_the_first_success(void **state)
{
	struct schedule schedule = {.interval_ms = DAY_MS};

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(schedule_next_ms(&schedule, UINT64_MAX), SCHEDULE_FIRST_MS);
		schedule_note(&schedule, false);
	}
	schedule_note(&schedule, true);
	/* How long it took to begin says nothing about what comes after. */
	assert_int_equal(schedule_next_ms(&schedule, 0), DAY_MS / 5 * 4);
}

static void test_schedule_takes_two_errors_off_for_a_success(void **state)
{
	static const struct {
		bool success;
		uint32_t errors;
	} steps[] = {
		{true, 0},  {true, 0},  {false, 1}, {true, 0}, {false, 1}, {false, 2},
		{false, 3}, {true, 1},  {false, 2}, {true, 0}, {false, 1}, {false, 2},
		{false, 3}, {false, 4}, {false, 5}, {true, 3}, {true, 1},  {true, 0},
	};
	struct schedule schedule = {.interval_ms = 1000};

	(void)state;
	for (size_t i = 0; i < COUNT(steps); i++) {
		schedule_note(&schedule, steps[i].success);
		assert_int_equal(schedule.errors, steps[i].errors);
		assert_true(schedule.succeeded);
	}
}

/* However long the outage: the way back is one success for two errors that lengthened the wait. */
static void test_schedule_counts_no_further_than_matters(void **state)
{
	static const struct {
		uint32_t interval_ms, errors;
	} cases[] = {{100, 17}, {60000, 7}, {HOUR_MS, 1}, {DAY_MS, 1}, {0, 32}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct schedule schedule = {.interval_ms = cases[i].interval_ms, .succeeded = true};
		uint64_t cap = cases[i].interval_ms > HOUR_MS ? cases[i].interval_ms : HOUR_MS;

		for (int n = 0; n < 10000; n++)
			schedule_note(&schedule, false);
		assert_int_equal(schedule.errors, cases[i].errors);
		if (cases[i].interval_ms)
			assert_int_equal(schedule_next_ms(&schedule, 0),
					 (uint64_t)cases[i].interval_ms / 5 * 4 + cap);
	}
}

static void test_schedule_never_waits_for_nothing(void **state)
{
	const struct schedule schedule = {.interval_ms = 0, .succeeded = true};

	(void)state;
	assert_int_equal(schedule_next_ms(&schedule, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schedule_waits_within_its_bounds),
		cmocka_unit_test(test_schedule_draws_jitter_and_back_off_apart),
		cmocka_unit_test(test_schedule_tries_each_second_until_the_first_success),
		cmocka_unit_test(test_schedule_takes_two_errors_off_for_a_success),
		cmocka_unit_test(test_schedule_counts_no_further_than_matters),
		cmocka_unit_test(test_schedule_never_waits_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
