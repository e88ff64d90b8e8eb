/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "exporter/loss.h"

#define MS 1000000ull
#define S  1000000000ull

static struct loss loss;
static struct ledger ledger;
static struct loss_look look;
static struct loss_marker due[LOSS_KINDS];

static int reset(void **state)
{
	(void)state;
	memset(&loss, 0, sizeof(loss));
	memset(&ledger, 0, sizeof(ledger));
	memset(&look, 0, sizeof(look));
	return 0;
}

/* Another exporter: what the last one had in mind is gone, counters and ledger are not. */
static void restart(void)
{
	memset(&loss, 0, sizeof(loss));
}

/* A look at that time takes a microsecond. */
static uint32_t look_at(uint64_t now_ns, bool all)
{
	look.before_ns = now_ns;
	look.after_ns = now_ns + 1000;
	return loss_due(&loss, &ledger, &look, all, due);
}

/* Whatever is due at that time reaches the output. */
static uint32_t tell_at(uint64_t now_ns)
{
	uint32_t count = look_at(now_ns, false);

	for (uint32_t i = 0; i < count; i++)
		loss_begin(&loss, &due[i]);
	for (uint32_t i = 0; i < count; i++)
		loss_end(&loss, &ledger, due[i].kind, true);
	return count;
}

static void expect_only(enum loss_kind kind, uint64_t count, uint64_t total, uint64_t since_ns,
			uint64_t until_ns)
{
	assert_int_equal(due[0].kind, kind);
	assert_int_equal(due[0].count, count);
	assert_int_equal(due[0].total, total);
	assert_int_equal(due[0].since_ns, since_ns);
	assert_int_equal(due[0].until_ns, until_ns);
}

static void test_loss_nothing_lost_is_nothing_to_tell(void **state)
{
	(void)state;
	look.sum.submitted_close = 1000;
	look.sum.filtered_close = 10;
	ledger.delivered_close = 900;
	ledger.clients_dropped = 5;
	ledger.table_full = 6;
	ledger.sink_errors = 7;
	assert_int_equal(look_at(5 * S, false), 0);
	assert_int_equal(look_at(6 * S, true), 0);
}

/* Each counter of a loss: its kind, its words, and where it is noted as told. */
static void test_loss_every_cause_has_a_marker(void **state)
{
	static const struct {
		uint64_t *count;
		uint64_t *told;
		enum loss_kind kind;
		const char *cause;
		const char *records;
	} cases[] = {
		{&look.sum.lost_open, &ledger.told_lost_open, LOSS_FULL_OPEN, "ring_full", "open"},
		{&look.sum.lost_update, &ledger.told_lost_update, LOSS_FULL_UPDATE, "ring_full",
		 "update"},
		{&look.sum.lost_close, &ledger.told_lost_close, LOSS_FULL_CLOSE, "ring_full",
		 "close"},
		{&look.sum.deferred_update, &ledger.told_deferred, LOSS_HALF_FULL_UPDATE,
		 "ring_half_full", "update"},
		{&look.sum.lost_unseen, &ledger.told_unseen, LOSS_UNSEEN_CLOSE, "unseen", "close"},
		{&ledger.dropped_malformed, &ledger.told_malformed, LOSS_MALFORMED, "malformed",
		 NULL},
		{&ledger.dropped_sink_open, &ledger.told_sink_open, LOSS_SINK_OPEN, "sink", "open"},
		{&ledger.dropped_sink_update, &ledger.told_sink_update, LOSS_SINK_UPDATE, "sink",
		 "update"},
		{&ledger.dropped_sink_close, &ledger.told_sink_close, LOSS_SINK_CLOSE, "sink",
		 "close"},
	};

	(void)state;
	assert_int_equal(sizeof(cases) / sizeof(cases[0]), LOSS_KINDS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*cases[i].count = 10 + i;
		assert_int_equal(tell_at((i + 1) * S), 1);
		assert_int_equal(due[0].kind, cases[i].kind);
		assert_int_equal(due[0].count, 10 + i);
		assert_int_equal(*cases[i].told, 10 + i);
		assert_string_equal(loss_cause(cases[i].kind), cases[i].cause);
		if (cases[i].records)
			assert_string_equal(loss_records(cases[i].kind), cases[i].records);
		else
			assert_null(loss_records(cases[i].kind));
	}
	assert_int_equal(look_at(60 * S, true), 0);
}

/* The time goes from the last look that found nothing to the one that found it. */
static void test_loss_a_marker_says_how_many_and_when(void **state)
{
	(void)state;
	assert_int_equal(tell_at(10 * S), 0);
	assert_int_equal(tell_at(10 * S + 100 * MS), 0);
	look.sum.lost_close = 7;
	assert_int_equal(tell_at(13 * S), 1);
	expect_only(LOSS_FULL_CLOSE, 7, 7, 10 * S + 100 * MS, 13 * S + 1000);
	assert_int_equal(tell_at(20 * S), 0);
	look.sum.lost_close = 12;
	assert_int_equal(tell_at(20 * S + 100 * MS), 1);
	expect_only(LOSS_FULL_CLOSE, 5, 12, 20 * S, 20 * S + 100 * MS + 1000);
}

static void test_loss_before_the_first_look_is_since_the_beginning(void **state)
{
	(void)state;
	look.sum.lost_close = 3;
	assert_int_equal(tell_at(10 * S), 1);
	expect_only(LOSS_FULL_CLOSE, 3, 3, 0, 10 * S + 1000);
}

/* A step each 100 ms, ten records lost in each. */
static void test_loss_that_goes_on_is_told_once_a_second(void **state)
{
	uint64_t told = 0, markers = 0, until_ns = 0;

	(void)state;
	assert_int_equal(tell_at(100 * S), 0);
	for (uint64_t at = 1; at <= 100; at++) {
		look.sum.lost_close += 10;
		if (!tell_at(100 * S + at * 100 * MS))
			continue;
		markers++;
		told += due[0].count;
		assert_true(due[0].since_ns <= due[0].until_ns);
		if (until_ns)
			assert_int_equal(due[0].since_ns, until_ns - 1000);
		until_ns = due[0].until_ns;
	}
	assert_in_range(markers, 9, 11);
	assert_int_equal(look_at(110 * S + 1, true), told < 1000 ? 1 : 0);
	assert_int_equal(told + (told < 1000 ? due[0].count : 0), 1000);
}

static void test_loss_kinds_do_not_hold_each_other_back(void **state)
{
	(void)state;
	look.sum.lost_close = 1;
	assert_int_equal(tell_at(10 * S), 1);
	look.sum.lost_close = 2;
	look.sum.lost_open = 1;
	assert_int_equal(tell_at(10 * S + 100 * MS), 1);
	assert_int_equal(due[0].kind, LOSS_FULL_OPEN);
	ledger.dropped_sink_close = 4;
	assert_int_equal(tell_at(11 * S + 500 * MS), 2);
	assert_int_equal(due[0].kind, LOSS_FULL_CLOSE);
	assert_int_equal(due[1].kind, LOSS_SINK_CLOSE);
}

static void test_loss_at_the_end_all_is_told(void **state)
{
	(void)state;
	look.sum.lost_close = 1;
	assert_int_equal(tell_at(10 * S), 1);
	look.sum.lost_close = 5;
	assert_int_equal(look_at(10 * S + MS, false), 0);
	assert_int_equal(look_at(10 * S + MS, true), 1);
	expect_only(LOSS_FULL_CLOSE, 4, 5, 10 * S, 10 * S + MS + 1000);
}

static void test_loss_a_marker_under_way_is_not_written_again(void **state)
{
	(void)state;
	assert_int_equal(look_at(9 * S, false), 0);
	look.sum.lost_close = 1;
	assert_int_equal(look_at(10 * S, false), 1);
	loss_begin(&loss, &due[0]);
	look.sum.lost_close = 2;
	assert_int_equal(look_at(20 * S, true), 0);
	assert_int_equal(ledger.told_lost_close, 0);
	loss_end(&loss, &ledger, LOSS_FULL_CLOSE, true);
	assert_int_equal(ledger.told_lost_close, 1);
	assert_int_equal(look_at(30 * S, false), 1);
	expect_only(LOSS_FULL_CLOSE, 1, 2, 10 * S, 30 * S + 1000);
}

/* What the output did not take is due at once, with what came on top. */
static void test_loss_a_marker_that_was_dropped_is_due_again(void **state)
{
	(void)state;
	assert_int_equal(look_at(9 * S, false), 0);
	ledger.dropped_sink_close = 3;
	assert_int_equal(look_at(10 * S, false), 1);
	loss_begin(&loss, &due[0]);
	loss_end(&loss, &ledger, LOSS_SINK_CLOSE, false);
	assert_int_equal(ledger.told_sink_close, 0);
	ledger.dropped_sink_close = 8;
	assert_int_equal(look_at(10 * S + 100 * MS, false), 1);
	expect_only(LOSS_SINK_CLOSE, 8, 8, 9 * S, 10 * S + 100 * MS + 1000);
}

static void test_loss_a_new_exporter_neither_repeats_nor_forgets(void **state)
{
	(void)state;
	assert_int_equal(tell_at(9 * S), 0);
	look.sum.lost_close = 3;
	assert_int_equal(tell_at(10 * S), 1);
	restart();
	assert_int_equal(look_at(10 * S + 100 * MS, true), 0);
	look.sum.lost_close = 5;
	restart();
	assert_int_equal(tell_at(15 * S), 1);
	expect_only(LOSS_FULL_CLOSE, 2, 5, 10 * S + 100 * MS, 15 * S + 1000);
}

/* Killed between writing and noting: told once more, and the total says that it is the same. */
static void test_loss_a_repetition_shows_in_the_total(void **state)
{
	struct loss_marker first;

	(void)state;
	assert_int_equal(look_at(9 * S, false), 0);
	look.sum.lost_close = 3;
	assert_int_equal(look_at(10 * S, false), 1);
	first = due[0];
	loss_begin(&loss, &due[0]);
	restart();
	look.sum.lost_close = 4;
	assert_int_equal(tell_at(11 * S), 1);
	assert_int_equal(due[0].total, 4);
	assert_true(due[0].total - due[0].count < first.total);
	assert_int_equal(due[0].since_ns, first.since_ns);
	assert_int_equal(ledger.told_lost_close, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_loss_nothing_lost_is_nothing_to_tell, reset),
		cmocka_unit_test_setup(test_loss_every_cause_has_a_marker, reset),
		cmocka_unit_test_setup(test_loss_a_marker_says_how_many_and_when, reset),
		cmocka_unit_test_setup(test_loss_before_the_first_look_is_since_the_beginning,
				       reset),
		cmocka_unit_test_setup(test_loss_that_goes_on_is_told_once_a_second, reset),
		cmocka_unit_test_setup(test_loss_kinds_do_not_hold_each_other_back, reset),
		cmocka_unit_test_setup(test_loss_at_the_end_all_is_told, reset),
		cmocka_unit_test_setup(test_loss_a_marker_under_way_is_not_written_again, reset),
		cmocka_unit_test_setup(test_loss_a_marker_that_was_dropped_is_due_again, reset),
		cmocka_unit_test_setup(test_loss_a_new_exporter_neither_repeats_nor_forgets, reset),
		cmocka_unit_test_setup(test_loss_a_repetition_shows_in_the_total, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
