/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/probation.h"

#define LENGTH_MS 1000u

static struct probation_look look(uint64_t now_ms, uint64_t records, uint64_t lost)
{
	return (struct probation_look){.now_ms = now_ms,
				       .length_ms = LENGTH_MS,
				       .at_work = true,
				       .count = {.records = records, .lost = lost}};
}

static enum probation_result at(struct probation *probation, uint64_t now_ms, uint64_t records,
				uint64_t lost)
{
	struct probation_look now = look(now_ms, records, lost);

	return probation_look(probation, &now);
}

static void begin(struct probation *probation, uint64_t now_ms, uint64_t records, uint64_t lost)
{
	struct probation_look now = look(now_ms, records, lost);

	probation_begin(probation, &now);
}

static enum probation_result down(struct probation *probation, uint64_t now_ms)
{
	struct probation_look now = look(now_ms, 0, 0);

	now.at_work = false;
	return probation_look(probation, &now);
}

static void test_probation_is_none_until_it_begins(void **state)
{
	struct probation probation = {0};

	(void)state;
	assert_int_equal(at(&probation, 1, 0, 0), PROBATION_NONE);
	assert_int_equal(at(&probation, 5000, 1000, 1000), PROBATION_NONE);
	assert_int_equal(probation_crash(&probation), PROBATION_NONE);
	assert_int_equal(probation_left_ms(&probation, 5000), 0);
}

static void test_probation_is_passed_after_its_time_at_work(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 0, 0);
	assert_int_equal(probation_left_ms(&probation, 400), LENGTH_MS);
	/* Coming up does not count. */
	assert_int_equal(down(&probation, 5000), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 6000, 0, 0), PROBATION_GOES_ON);
	assert_int_equal(probation_left_ms(&probation, 6400), 600);
	assert_int_equal(at(&probation, 6999, 0, 0), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 7000, 0, 0), PROBATION_PASSED);
	assert_int_equal(at(&probation, 7001, 0, 0), PROBATION_NONE);
	assert_int_equal(probation_left_ms(&probation, 7001), 0);
}

static void test_probation_begins_its_time_anew_after_a_crash(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 0, 0);
	assert_int_equal(at(&probation, 20, 0, 0), PROBATION_GOES_ON);
	assert_int_equal(probation_crash(&probation), PROBATION_GOES_ON);
	/* Back so soon that no look has met it down. */
	assert_int_equal(at(&probation, 1100, 0, 0), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 2099, 0, 0), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 2100, 0, 0), PROBATION_PASSED);
}

static void test_probation_is_failed_by_crashes(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 0, 0);
	for (uint32_t i = 1; i < PROBATION_CRASHES; i++)
		assert_int_equal(probation_crash(&probation), PROBATION_GOES_ON);
	assert_int_equal(probation_crash(&probation), PROBATION_CRASHING);
	assert_int_equal(probation_crash(&probation), PROBATION_NONE);
	/* Of what is on probation then, none is counted. */
	begin(&probation, 20, 0, 0);
	assert_int_equal(probation_crash(&probation), PROBATION_GOES_ON);
	begin(&probation, 30, 0, 0);
	for (uint32_t i = 1; i < PROBATION_CRASHES; i++)
		assert_int_equal(probation_crash(&probation), PROBATION_GOES_ON);
}

static void test_probation_is_failed_by_losses(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 5000, 40);
	/* One percent, and just more. */
	assert_int_equal(at(&probation, 20, 15000, 140), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 40, 15000, 141), PROBATION_LOSING);
	assert_int_equal(at(&probation, 50, 15000, 15000), PROBATION_NONE);
}

static void test_probation_minds_no_few_losses(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 0, 0);
	assert_int_equal(at(&probation, 20, PROBATION_LOST_LEAST - 1, PROBATION_LOST_LEAST - 1),
			 PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 20, PROBATION_LOST_LEAST, PROBATION_LOST_LEAST),
			 PROBATION_LOSING);
}

/* Ten percent are lost the whole time. */
static void test_probation_minds_what_was_not_lost_before(void **state)
{
	struct probation probation = {0};
	uint64_t now;

	(void)state;
	for (now = 1000; now <= 10000; now += 100)
		assert_int_equal(at(&probation, now, now, now / 10), PROBATION_NONE);
	begin(&probation, now, now, now / 10);
	assert_int_equal(probation.before.lost * 10, probation.before.records);
	for (uint64_t then = now; then < now + LENGTH_MS; then += 100)
		assert_int_equal(at(&probation, then, 20 * then, 2 * then), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, now + 900, 21 * now, 21 * now / 10 + now / 2),
			 PROBATION_LOSING);
}

/* What was lost long ago excuses nothing. */
static void test_probation_looks_back_two_lengths_at_most(void **state)
{
	struct probation probation = {0};

	(void)state;
	assert_int_equal(at(&probation, 1000, 0, 0), PROBATION_NONE);
	for (uint64_t now = 1100; now <= 5000; now += 100)
		assert_int_equal(at(&probation, now, 1000 + now, 1000), PROBATION_NONE);
	begin(&probation, 5050, 6050, 1000);
	assert_int_equal(probation.before.lost, 0);
	assert_in_range(probation.before.records, LENGTH_MS, 2 * LENGTH_MS);
	assert_int_equal(at(&probation, 5100, 7050, 1100), PROBATION_LOSING);
}

/* A second one while the first is under way: what the first lost is not what was lost before. */
static void test_probation_that_begins_anew_keeps_what_was_before(void **state)
{
	struct probation probation = {0};

	(void)state;
	assert_int_equal(at(&probation, 1000, 0, 0), PROBATION_NONE);
	begin(&probation, 2000, 1000, 0);
	assert_int_equal(at(&probation, 2100, 1090, 90), PROBATION_GOES_ON);
	begin(&probation, 2200, 1090, 90);
	assert_int_equal(probation.before.lost, 0);
	assert_int_equal(at(&probation, 2300, 2090, 189), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 2400, 2090, 190), PROBATION_LOSING);
}

/* A tracer with maps of its own. */
static void test_probation_survives_counts_that_begin_anew(void **state)
{
	struct probation probation = {0};

	(void)state;
	assert_int_equal(at(&probation, 1000, 100000, 50), PROBATION_NONE);
	begin(&probation, 1500, 10, 0);
	assert_int_equal(probation.before.records, 10);
	assert_int_equal(at(&probation, 1600, 5, 0), PROBATION_GOES_ON);
	assert_int_equal(at(&probation, 1700, 500, 100), PROBATION_LOSING);
}

static void test_probation_that_is_called_off_is_none(void **state)
{
	struct probation probation = {0};

	(void)state;
	begin(&probation, 10, 0, 0);
	probation_end(&probation);
	assert_int_equal(at(&probation, 20, 1000, 1000), PROBATION_NONE);
	assert_int_equal(probation_left_ms(&probation, 20), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probation_is_none_until_it_begins),
		cmocka_unit_test(test_probation_is_passed_after_its_time_at_work),
		cmocka_unit_test(test_probation_begins_its_time_anew_after_a_crash),
		cmocka_unit_test(test_probation_is_failed_by_crashes),
		cmocka_unit_test(test_probation_is_failed_by_losses),
		cmocka_unit_test(test_probation_minds_no_few_losses),
		cmocka_unit_test(test_probation_minds_what_was_not_lost_before),
		cmocka_unit_test(test_probation_looks_back_two_lengths_at_most),
		cmocka_unit_test(test_probation_that_begins_anew_keeps_what_was_before),
		cmocka_unit_test(test_probation_survives_counts_that_begin_anew),
		cmocka_unit_test(test_probation_that_is_called_off_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
