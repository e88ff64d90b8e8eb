/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/rate.h"

#define BEGIN_MS 123456789u

static uint32_t take_all(struct rate *rate, uint64_t now_ms)
{
	uint32_t taken = 0;

	while (rate_take(rate, now_ms))
		taken++;
	return taken;
}

static void test_rate_allows_a_burst_and_no_more(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, BEGIN_MS);
	assert_int_equal(take_all(&rate, BEGIN_MS), RATE_BURST);
	assert_false(rate_take(&rate, BEGIN_MS));
}

/* However the second is cut, so many come back. */
static void test_rate_fills_up_each_second(void **state)
{
	static const uint32_t cuts_ms[] = {1000, 500, 100, 7, 1};
	struct rate rate;

	(void)state;
	for (size_t i = 0; i < sizeof(cuts_ms) / sizeof(cuts_ms[0]); i++) {
		uint64_t now_ms = BEGIN_MS;
		uint32_t taken = 0;

		rate_init(&rate, now_ms);
		(void)take_all(&rate, now_ms);
		while (now_ms < BEGIN_MS + 7000) {
			now_ms += cuts_ms[i];
			taken += take_all(&rate, now_ms);
		}
		assert_int_equal(taken, 7 * RATE_PER_S);
	}
}

static void test_rate_never_holds_more_than_a_burst(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 0);
	assert_int_equal(take_all(&rate, UINT64_MAX / 2), RATE_BURST);
	assert_int_equal(take_all(&rate, UINT64_MAX), RATE_BURST);
}

/* What a child at work sends never empties it. */
static void test_rate_is_no_limit_to_a_child_at_work(void **state)
{
	struct rate rate;

	(void)state;
	rate_init(&rate, 0);
	for (uint64_t now_ms = 0; now_ms < 3600000; now_ms += 100)
		assert_true(rate_take(&rate, now_ms) && rate_take(&rate, now_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_allows_a_burst_and_no_more),
		cmocka_unit_test(test_rate_fills_up_each_second),
		cmocka_unit_test(test_rate_never_holds_more_than_a_burst),
		cmocka_unit_test(test_rate_is_no_limit_to_a_child_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
