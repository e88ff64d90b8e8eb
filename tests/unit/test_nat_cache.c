/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exporter/nat_cache.h"
#include "tests/unit/ctnetlink.h"

static struct nat_cache cache;

static int set_up(void **state)
{
	(void)state;
	return nat_cache_open(&cache, 4);
}

static int tear_down(void **state)
{
	(void)state;
	nat_cache_close(&cache);
	return 0;
}

static void begin(uint16_t port, uint32_t id, uint64_t since_ns, uint64_t now_ns)
{
	const struct nat_conn conn = ct_dnat(port, id);

	nat_cache_begin(&cache, &conn, since_ns, now_ns);
}

static void end(uint16_t port, uint32_t id, uint64_t since_ns, uint64_t now_ns)
{
	const struct nat_conn conn = ct_dnat(port, id);

	nat_cache_end(&cache, &conn, since_ns, now_ns, false);
}

static bool finds(uint16_t port, uint8_t type, uint64_t opened_ns, uint64_t recorded_ns)
{
	const struct event event = ct_record(port, type, opened_ns, recorded_ns);
	struct nat_tuple translated;

	return nat_cache_find(&cache, &event, &translated);
}

static void test_nat_cache_both_ends_see_each_other_through(void **state)
{
	static const struct nat_tuple client_sees = {{10, 0, 0, 1}, {10, 0, 0, 2}, 4000, 8080};
	static const struct nat_tuple server_sees = {{192, 0, 2, 1}, {10, 0, 0, 1}, 80, 4000};
	struct event client = ct_record(4000, EVENT_OPEN, 10, 11);
	struct event server = {.type = EVENT_OPEN,
			       .protocol = 6,
			       .family = 4,
			       .saddr = {10, 0, 0, 2},
			       .daddr = {10, 0, 0, 1},
			       .sport = 8080,
			       .dport = 4000,
			       .opened_ns = 10,
			       .recorded_ns = 11};
	struct nat_tuple translated;

	(void)state;
	begin(4000, 1, 5, 10);
	assert_true(nat_cache_find(&cache, &client, &translated));
	assert_memory_equal(&translated, &client_sees, sizeof(translated));
	assert_true(nat_cache_find(&cache, &server, &translated));
	assert_memory_equal(&translated, &server_sees, sizeof(translated));
}

static void test_nat_cache_another_protocol_or_family_is_another_connection(void **state)
{
	struct event event = ct_record(4000, EVENT_OPEN, 10, 11);
	struct nat_tuple translated;

	(void)state;
	begin(4000, 1, 5, 10);
	event.protocol = 17;
	assert_false(nat_cache_find(&cache, &event, &translated));
	event.protocol = 6;
	event.family = 6;
	assert_false(nat_cache_find(&cache, &event, &translated));
	event.family = 4;
	event.dport = 81;
	assert_false(nat_cache_find(&cache, &event, &translated));
}

static void test_nat_cache_the_close_may_come_before_or_after_the_end(void **state)
{
	(void)state;
	begin(4000, 1, 5, 10);
	assert_true(finds(4000, EVENT_CLOSE, 8, 20));
	end(4000, 1, 30, 40);
	begin(4001, 2, 45, 50);
	end(4001, 2, 60, 70);
	assert_true(finds(4001, EVENT_CLOSE, 48, 90));
}

/* The same addresses again, not translated: of that nothing is told. */
static void test_nat_cache_what_ended_says_nothing_of_the_next(void **state)
{
	(void)state;
	begin(4000, 1, 5, 10);
	end(4000, 1, 30, 40);
	assert_false(finds(4000, EVENT_OPEN, 31, 50));
	assert_true(finds(4000, EVENT_CLOSE, 8, 29));
	/* Nor of the one before. */
	begin(4001, 2, 100, 110);
	assert_false(finds(4001, EVENT_CLOSE, 80, 99));
	assert_true(finds(4001, EVENT_CLOSE, 80, 100));
}

/* It may live shorter than the time from one look to the next. */
static void test_nat_cache_a_short_life_is_found(void **state)
{
	(void)state;
	begin(4000, 1, 5, 10);
	end(4000, 1, 5, 10);
	assert_true(finds(4000, EVENT_CLOSE, 9, 9));
}

static void test_nat_cache_the_newest_counts(void **state)
{
	struct nat_conn second = ct_dnat(4000, 2);
	const struct event event = ct_record(4000, EVENT_OPEN, 60, 70);
	struct nat_tuple translated;

	(void)state;
	begin(4000, 1, 5, 10);
	second.reply.sport = 9090;
	nat_cache_begin(&cache, &second, 50, 55);
	assert_true(nat_cache_find(&cache, &event, &translated));
	assert_int_equal(translated.dport, 9090);
	/* And the first has ended with it. */
	assert_true(finds(4000, EVENT_CLOSE, 8, 40));
	assert_int_equal(cache.count, 2);
}

static void test_nat_cache_told_twice_is_there_once(void **state)
{
	(void)state;
	begin(4000, 1, 5, 10);
	begin(4000, 1, 20, 30);
	assert_int_equal(cache.count, 1);
	assert_true(finds(4000, EVENT_CLOSE, 6, 7));
}

static void test_nat_cache_an_end_of_another_is_ignored(void **state)
{
	(void)state;
	begin(4000, 1, 5, 10);
	end(4000, 2, 20, 30);
	assert_true(finds(4000, EVENT_OPEN, 25, 26));
	end(4001, 1, 20, 30);
	assert_int_equal(cache.count, 1);
}

/* The one that ended goes first; then one that no record was about; nothing goes in silence. */
static void test_nat_cache_gives_up_what_is_not_waited_for(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 4; i++)
		begin((uint16_t)(4000 + i), i + 1u, 5, 10);
	assert_true(finds(4000, EVENT_OPEN, 8, 11));
	end(4000, 1, 20, 21); /* ended, but its close is to come */
	end(4003, 4, 20, 21);
	begin(5000, 5, 22, 23);
	assert_false(finds(4003, EVENT_CLOSE, 8, 20));
	assert_int_equal(cache.evicted, 0);
	begin(5001, 6, 22, 23);
	assert_false(finds(4001, EVENT_CLOSE, 8, 20));
	assert_int_equal(cache.evicted, 1);
	assert_true(finds(4000, EVENT_CLOSE, 8, 20));
	/* Now it is not waited for any more. */
	begin(5002, 7, 22, 23);
	assert_false(finds(4000, EVENT_CLOSE, 8, 20));
	assert_int_equal(cache.evicted, 1);
	assert_int_equal(cache.count, 4);
}

/* However many pass through: they push out each other. */
static void test_nat_cache_keeps_what_records_are_about(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 4; i++)
		begin((uint16_t)(4000 + i), i + 1u, 5, 10);
	assert_true(finds(4000, EVENT_OPEN, 8, 11));
	for (uint16_t i = 0; i < 100; i++)
		begin((uint16_t)(5000 + i), i + 10u, 22, 23);
	assert_true(finds(4000, EVENT_UPDATE, 8, 30));
	assert_true(finds(5099, EVENT_OPEN, 22, 30));
	assert_false(finds(4001, EVENT_OPEN, 8, 30));
}

static void test_nat_cache_is_bounded_and_counts(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 1000; i++)
		begin((uint16_t)(4000 + i), i + 1u, 5, 10);
	assert_int_equal(cache.count, 4);
	assert_int_equal(cache.evicted, 996);
	for (uint16_t i = 0; i < 1000; i++)
		assert_int_equal(finds((uint16_t)(4000 + i), EVENT_CLOSE, 8, 20), i >= 996);
}

/* Ends may have been lost, so what is older may have ended; a dump tells. */
static void test_nat_cache_a_doubt_lasts_until_a_dump(void **state)
{
	const struct nat_conn confirmed = ct_dnat(4000, 1);

	(void)state;
	begin(4000, 1, 5, 10);
	begin(4001, 2, 5, 10);
	nat_cache_doubt(&cache, 20);
	assert_true(finds(4000, EVENT_UPDATE, 8, 30));
	assert_false(finds(4000, EVENT_OPEN, 25, 30));
	nat_cache_confirm(&cache, &confirmed, 30, 40);
	nat_cache_settle(&cache, 20, 50);
	assert_true(finds(4000, EVENT_OPEN, 45, 50));
	assert_false(finds(4001, EVENT_OPEN, 45, 50));
	assert_true(finds(4001, EVENT_CLOSE, 8, 50));
	/* What began since then is not in doubt. */
	begin(4002, 3, 50, 60);
	assert_true(finds(4002, EVENT_OPEN, 55, 70));
}

static void test_nat_cache_a_dump_brings_what_was_there_before(void **state)
{
	const struct nat_conn old = ct_dnat(4000, 1);

	(void)state;
	nat_cache_confirm(&cache, &old, 100, 110);
	assert_true(finds(4000, EVENT_UPDATE, 0, 120));
	assert_true(finds(4000, EVENT_CLOSE, 3, 130));
}

/* A dump's first part is as old as its request: what ended since then has ended. */
static void test_nat_cache_a_dump_revives_nothing(void **state)
{
	const struct nat_conn known = ct_dnat(4000, 1), unknown = ct_dnat(4001, 2);

	(void)state;
	begin(4000, 1, 5, 10);
	nat_cache_end(&cache, &known, 105, 106, true);
	nat_cache_end(&cache, &unknown, 105, 106, true);
	nat_cache_confirm(&cache, &known, 100, 110);
	nat_cache_confirm(&cache, &unknown, 100, 110);
	assert_false(finds(4000, EVENT_OPEN, 120, 121));
	assert_false(finds(4001, EVENT_OPEN, 120, 121));
	assert_true(finds(4001, EVENT_CLOSE, 90, 104));
	assert_int_equal(cache.count, 2);
	/* But the same again, of which only the dump tells, is live. */
	nat_cache_confirm(&cache, &known, 200, 210);
	assert_true(finds(4000, EVENT_OPEN, 205, 211));
}

/* With two places for a chain at most. */
static void test_nat_cache_entries_are_as_large_as_the_budget_takes_them_for(void **state)
{
	(void)state;
	assert_true(sizeof(struct nat_entry) + 2 * sizeof(uint32_t) <= 136);
}

static void test_nat_cache_refuses_sizes_out_of_range(void **state)
{
	struct nat_cache other;

	(void)state;
	assert_int_equal(nat_cache_open(&other, 3), -EINVAL);
	assert_int_equal(nat_cache_open(&other, (1u << 28) + 1), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_nat_cache_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_ends_see_each_other_through),
		TEST(another_protocol_or_family_is_another_connection),
		TEST(the_close_may_come_before_or_after_the_end),
		TEST(what_ended_says_nothing_of_the_next),
		TEST(a_short_life_is_found),
		TEST(the_newest_counts),
		TEST(told_twice_is_there_once),
		TEST(an_end_of_another_is_ignored),
		TEST(gives_up_what_is_not_waited_for),
		TEST(keeps_what_records_are_about),
		TEST(is_bounded_and_counts),
		TEST(a_doubt_lasts_until_a_dump),
		TEST(a_dump_brings_what_was_there_before),
		TEST(a_dump_revives_nothing),
		cmocka_unit_test(test_nat_cache_entries_are_as_large_as_the_budget_takes_them_for),
		cmocka_unit_test(test_nat_cache_refuses_sizes_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
