/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exporter/unmet.h"

/* Walks with the same excess; returns how often suspicion was raised. */
static uint32_t walks(struct unmet *unmet, uint32_t count, int64_t excess)
{
	uint32_t raised = 0;

	while (count--)
		raised += unmet_walk(unmet, (uint64_t)(1000 + excess), 1000);
	return raised;
}

static void test_unmet_nothing_is_suspected_of_what_agrees(void **state)
{
	struct unmet unmet = {0};

	(void)state;
	assert_int_equal(walks(&unmet, 100, 0), 0);
	assert_int_equal(walks(&unmet, 100, -5), 0);
	assert_int_equal(unmet.count, 0);
}

static void test_unmet_what_all_walks_lack_is_suspected_once(void **state)
{
	struct unmet unmet = {0};

	(void)state;
	assert_int_equal(walks(&unmet, UNMET_WALKS - 1, 7), 0);
	assert_int_equal(unmet.count, 0);
	assert_int_equal(walks(&unmet, 1, 7), 1);
	assert_int_equal(unmet.count, 7);
	assert_int_equal(walks(&unmet, 100, 7), 0);
	assert_int_equal(walks(&unmet, UNMET_WALKS, 9), 1);
	assert_int_equal(unmet.count, 9);
}

static void test_unmet_one_walk_that_agrees_clears_it(void **state)
{
	struct unmet unmet = {0};

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(walks(&unmet, UNMET_WALKS - 1, 100), 0);
		assert_int_equal(walks(&unmet, 1, 0), 0);
	}
	assert_int_equal(unmet.count, 0);
}

static void test_unmet_numbers_that_grow_are_suspected_now_and_then(void **state)
{
	struct unmet unmet = {0};
	uint32_t raised = 0;

	(void)state;
	for (int64_t i = 0; i < 160; i++)
		raised += walks(&unmet, 1, i);
	assert_true(raised >= 2 && raised <= 160 / UNMET_REST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmet_nothing_is_suspected_of_what_agrees),
		cmocka_unit_test(test_unmet_what_all_walks_lack_is_suspected_once),
		cmocka_unit_test(test_unmet_one_walk_that_agrees_clears_it),
		cmocka_unit_test(test_unmet_numbers_that_grow_are_suspected_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
