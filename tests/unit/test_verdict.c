/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/children.h"
#include "supervisor/verdict.h"

static struct supervisor sup;
static struct msg_verdict told; /* to the poller */
static uint32_t told_count;

/* In children.c's stead, which has processes. */
int children_send(struct proc *proc, enum msg_type type, const void *msg, const int *fds,
		  uint32_t fd_count)
{
	assert_ptr_equal(proc, &sup.procs[ROLE_POLLER]);
	assert_int_equal(type, MSG_VERDICT);
	assert_null(fds);
	assert_int_equal(fd_count, 0);
	told = *(const struct msg_verdict *)msg;
	told_count++;
	return 0;
}

static int begin(void **state)
{
	(void)state;
	memset(&sup, 0, sizeof(sup));
	told_count = 0;
	sup.configure.current.version = 3;
	sup.procs[ROLE_POLLER].phase = PHASE_RUNNING;
	sup.procs[ROLE_POLLER].life.state = LIFE_RUNNING;
	return 0;
}

/* The local file and two parts. */
static const struct config_origins origins = {
	.text_count = 3, .texts = {{"conntrace.yaml"}, {"a.yaml"}, {"b.yaml"}}};

static void test_verdict_is_told_to_the_poller_and_the_status(void **state)
{
	static const struct {
		enum verdict verdict;
		enum apply_state state;
		uint32_t applied;
	} rows[] = {
		{VERDICT_APPLIED, APPLY_ACKNOWLEDGED, 1},
		{VERDICT_ON_PROBATION, APPLY_UNACKNOWLEDGED, 1},
		{VERDICT_PASSED, APPLY_ACKNOWLEDGED, 1},
		{VERDICT_REFUSED, APPLY_ERROR, 0},
		{VERDICT_ROLLED_BACK, APPLY_ERROR, 0},
	};
	const struct msg_source *source = &sup.verdicts.source;

	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), VERDICT_COUNT);
	assert_int_equal(source->state, APPLY_UNKNOWN);
	for (uint32_t i = 0; i < VERDICT_COUNT; i++) {
		verdict_on_source(&sup, rows[i].verdict, "so it is", &origins, NULL);
		assert_int_equal(told_count, i + 1);
		assert_int_equal(told.applied, rows[i].applied);
		assert_int_equal(told.state, rows[i].state);
		assert_int_equal(told.version, 3);
		assert_string_equal(told.reason, "so it is");
		assert_int_equal(source->state, rows[i].state);
		assert_string_equal(source->error, rows[i].applied ? "" : "so it is");
		assert_int_equal(source->part_count, 2);
		for (uint32_t part = 0; part < 2; part++) {
			assert_string_equal(source->parts[part].name, part ? "b.yaml" : "a.yaml");
			assert_int_equal(source->parts[part].state, rows[i].state);
		}
		assert_int_equal(verdict_last(&sup)->verdict, rows[i].verdict);
		assert_int_equal(verdict_last(&sup)->by_source, 1);
	}
	verdict_forget_source(&sup);
	assert_int_equal(source->state, APPLY_UNKNOWN);
	assert_int_equal(source->part_count, 0);
}

static void test_verdict_waits_for_no_poller(void **state)
{
	(void)state;
	sup.procs[ROLE_POLLER].life.state = LIFE_STOPPING;
	verdict_on_source(&sup, VERDICT_APPLIED, "", NULL, NULL);
	assert_int_equal(told_count, 0);
	assert_int_equal(sup.verdicts.source.state, APPLY_ACKNOWLEDGED);
}

static void test_verdict_on_the_local_file_is_none_of_the_source(void **state)
{
	(void)state;
	verdict_on_source(&sup, VERDICT_APPLIED, "applied", &origins, NULL);
	verdict_on_local(&sup, VERDICT_REFUSED, "no");
	assert_int_equal(told_count, 1);
	assert_int_equal(sup.verdicts.source.state, APPLY_ACKNOWLEDGED);
	assert_int_equal(verdict_last(&sup)->verdict, VERDICT_REFUSED);
	assert_int_equal(verdict_last(&sup)->by_source, 0);
	assert_string_equal(verdict_last(&sup)->reason, "no");
}

static void test_verdict_tells_which_part_is_wrong(void **state)
{
	static const struct msg_checked checked = {
		.error_count = 3,
		.errors = {{.file = "conntrace.yaml", .line = 1, .reason = "not a part"},
			   {.file = "b.yaml", .line = 7, .reason = "the first"},
			   {.file = "b.yaml", .line = 8, .reason = "the second"}}};
	const struct msg_source *source = &sup.verdicts.source;

	(void)state;
	verdict_on_source(&sup, VERDICT_REFUSED, "b.yaml:7", &origins, &checked);
	assert_int_equal(source->state, APPLY_ERROR);
	assert_int_equal(source->parts[0].state, APPLY_UNACKNOWLEDGED);
	assert_string_equal(source->parts[0].error, "");
	assert_int_equal(source->parts[1].state, APPLY_ERROR);
	assert_string_equal(source->parts[1].error, "7: the first");
}

static void test_verdict_history_keeps_the_last_ones(void **state)
{
	const struct msg_history *history = &sup.verdicts.history;
	char text[16];

	(void)state;
	assert_int_equal(verdict_last(&sup)->verdict, VERDICT_REFUSED);
	for (uint32_t i = 0; i < MSG_HISTORY_MAX + 5; i++) {
		snprintf(text, sizeof(text), "%u", i);
		verdict_on_local(&sup, VERDICT_APPLIED, text);
	}
	assert_int_equal(history->entry_count, MSG_HISTORY_MAX);
	assert_string_equal(history->entries[0].reason, "5");
	assert_string_equal(verdict_last(&sup)->reason, text);
	assert_int_equal(verdict_last(&sup)->times, 1);
}

/* Whoever sends the same again and again pushes nothing out. */
static void test_verdict_history_counts_what_repeats(void **state)
{
	const struct msg_history *history = &sup.verdicts.history;

	(void)state;
	verdict_on_local(&sup, VERDICT_APPLIED, "applied");
	for (uint32_t i = 0; i < 1000; i++)
		verdict_on_source(&sup, VERDICT_REFUSED, "no", &origins, NULL);
	assert_int_equal(history->entry_count, 2);
	assert_int_equal(verdict_last(&sup)->times, 1000);
	assert_in_range(verdict_last(&sup)->at_ns, history->entries[0].at_ns, UINT64_MAX);
	/* Of another version, of the local file, for another reason it is another one. */
	sup.configure.current.version++;
	verdict_on_source(&sup, VERDICT_REFUSED, "no", &origins, NULL);
	verdict_on_local(&sup, VERDICT_REFUSED, "no");
	verdict_on_local(&sup, VERDICT_REFUSED, "not now");
	assert_int_equal(history->entry_count, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_verdict_is_told_to_the_poller_and_the_status, begin),
		cmocka_unit_test_setup(test_verdict_waits_for_no_poller, begin),
		cmocka_unit_test_setup(test_verdict_on_the_local_file_is_none_of_the_source, begin),
		cmocka_unit_test_setup(test_verdict_tells_which_part_is_wrong, begin),
		cmocka_unit_test_setup(test_verdict_history_keeps_the_last_ones, begin),
		cmocka_unit_test_setup(test_verdict_history_counts_what_repeats, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
