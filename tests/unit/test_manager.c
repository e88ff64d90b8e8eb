/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "loader/manager.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct config config = {.ring_bytes = 1u << 20, .conn_max = 4096};
static const struct manager_host host = {
	.pidns_dev = 4, .pidns_ino = 4026531836, .ephemeral_low = 32768, .ephemeral_high = 60999};

/* Every program planned, remembered in that store. */
static struct plan all_planned(enum config_tracer tracer, enum probe_store store)
{
	struct plan plan = {.tracer = tracer, .store = store};

	for (uint32_t i = 0; i < tracer_type(tracer)->probe_count; i++)
		plan.probes[i] = PROBE_PLANNED;
	return plan;
}

static struct manager_options options_of(const struct plan *plan)
{
	static const struct features none;

	return manager_options_make(plan, &config, &none, &host);
}

/* --- options --- */

static void test_manager_options_follow_the_configuration(void **state)
{
	struct plan plan = all_planned(TRACER_TRACEPOINT, STORE_SOCKET);
	struct manager_options options = options_of(&plan);

	(void)state;
	assert_ptr_equal(options.type, tracer_type(TRACER_TRACEPOINT));
	assert_int_equal(options.plan.tracer, TRACER_TRACEPOINT);
	assert_memory_equal(options.plan.probes, plan.probes, sizeof(plan.probes));
	assert_int_equal(options.ring_bytes, 1u << 20);
	assert_int_equal(options.constants.ring_wakeup_bytes, 1u << 18);
	assert_int_equal(options.constants.ring_defer_bytes, 1u << 19);
	assert_in_range(options.attach_tries, 1, 100);
}

static void test_manager_options_have_a_table_only_where_it_is_used(void **state)
{
	struct plan plan = all_planned(TRACER_FENTRY, STORE_SOCKET);
	struct manager_options options = options_of(&plan);

	(void)state;
	assert_int_equal(options.table_entries, 1);
	assert_int_equal(options.constants.socket_storage, 1);
	plan.store = STORE_TABLE;
	options = options_of(&plan);
	assert_int_equal(options.table_entries, 4096);
	assert_int_equal(options.constants.socket_storage, 0);
}

static void test_manager_constants_of_the_host(void **state)
{
	struct plan plan = all_planned(TRACER_KPROBE, STORE_TABLE);
	struct constants constants = options_of(&plan).constants;

	(void)state;
	assert_int_equal(constants.pidns_dev, 4);
	assert_int_equal(constants.pidns_ino, 4026531836);
	assert_int_equal(constants.ephemeral_low, 32768);
	assert_int_equal(constants.ephemeral_high, 60999);
}

/* A helper that was not proved to be there must not be called: the verifier would refuse. */
static void test_manager_constants_allow_only_helpers_that_are_there(void **state)
{
	static const struct {
		int32_t cookie, read;
		uint32_t want_cookie, want_read;
	} rows[] = {
		{1, 0, 1, 1},
		{0, 0, 0, 1},
		{1, EINVAL, 1, 0},
		{FEATURE_UNKNOWN, FEATURE_UNKNOWN, 0, 0},
	};
	struct plan plan = all_planned(TRACER_TRACEPOINT, STORE_SOCKET);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct features features = {.of = {[FEATURE_socket_cookie] = rows[i].cookie,
						   [FEATURE_try_read] = rows[i].read}};
		struct constants constants =
			manager_options_make(&plan, &config, &features, &host).constants;

		assert_int_equal(constants.socket_cookie, rows[i].want_cookie);
		assert_int_equal(constants.helper_read, rows[i].want_read);
	}
}

static void test_manager_host_has_a_pid_namespace_only_to_filter_by(void **state)
{
	struct manager_host read;
	struct stat st;

	(void)state;
	assert_int_equal(manager_host_read(&read, false), 0);
	assert_int_equal(read.pidns_dev, 0);
	assert_int_equal(read.pidns_ino, 0);
	assert_true(read.ephemeral_low <= read.ephemeral_high);

	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	assert_int_equal(manager_host_read(&read, true), 0);
	assert_int_equal(read.pidns_ino, st.st_ino);
	/* As the kernel has a dev_t, not as user space has. */
	assert_int_equal(read.pidns_dev >> 20, major(st.st_dev));
	assert_int_equal(read.pidns_dev & 0xfffff, minor(st.st_dev));
}

/* --- a fresh attempt --- */

static void test_manager_init_begins_with_the_plan(void **state)
{
	struct plan plan = all_planned(TRACER_FENTRY, STORE_SOCKET);
	struct manager_options options;
	struct manager manager;

	(void)state;
	plan.probes[3] = PROBE_MISSING;
	plan.probes[4] = PROBE_OFF;
	options = options_of(&plan);
	memset(&manager, 0xff, sizeof(manager));
	manager_init(&manager, &options);
	assert_ptr_equal(manager.options.type, options.type);
	assert_int_equal(manager.options.ring_bytes, options.ring_bytes);
	for (uint32_t i = 0; i < TRACER_PROBES_MAX; i++) {
		assert_int_equal(manager.probes[i].state, plan.probes[i]);
		assert_int_equal(manager.probes[i].err, 0);
		assert_int_equal(manager.probes[i].verified_insns, 0);
	}
}

/* --- the report --- */

/* Of a tracer without an fd, and as it can be sent. */
static void report_of(const struct manager *manager, struct msg_tracer *report)
{
	static uint8_t frame[PROTO_FRAME_MAX];
	struct tracer tracer;

	tracer_init(&tracer);
	memset(report, 0xff, sizeof(*report));
	manager_report(manager, &tracer, report);
	report->instance = INSTANCE_HOST; /* which is for the caller to say */
	assert_true(msg_pack(MSG_TRACER, report, frame, sizeof(frame)) > 0);
}

static void test_manager_report_names_every_program(void **state)
{
	(void)state;
	for (uint32_t t = TRACER_AUTO + 1; t < TRACER_COUNT; t++) {
		struct plan plan = all_planned((enum config_tracer)t, STORE_TABLE);
		const struct tracer_type *type = tracer_type((enum config_tracer)t);
		struct manager_options options = options_of(&plan);
		struct manager manager;
		struct msg_tracer report;

		manager_init(&manager, &options);
		report_of(&manager, &report);
		assert_string_equal(report.tracer, type->name);
		assert_int_equal(report.probe_count, type->probe_count);
		for (uint32_t i = 0; i < type->probe_count; i++) {
			assert_string_equal(report.probes[i].program, type->probes[i].program);
			assert_string_equal(report.probes[i].hook, type->probes[i].hook);
			assert_int_equal(report.probes[i].required, type->probes[i].required);
			assert_int_equal(report.probes[i].state, PROBE_PLANNED);
			assert_int_equal(report.probes[i].missed, 0);
			assert_string_equal(report.probes[i].note, "");
		}
	}
}

static void expect_how(enum config_tracer tracer, enum plan_kprobe kprobe, const char *program,
		       const char *how)
{
	struct plan plan = all_planned(tracer, STORE_TABLE);
	struct manager_options options;
	struct manager manager;
	struct msg_tracer report;
	uint32_t i = 0;

	plan.kprobe = kprobe;
	options = options_of(&plan);
	manager_init(&manager, &options);
	report_of(&manager, &report);
	while (i < report.probe_count && strcmp(report.probes[i].program, program) != 0)
		i++;
	assert_int_not_equal(i, report.probe_count);
	assert_string_equal(report.probes[i].how, how);
}

static void test_manager_report_says_how_a_program_is_attached(void **state)
{
	(void)state;
	expect_how(TRACER_TRACEPOINT, KPROBE_MULTI, PROGRAM_SET_STATE, "tp_btf");
	expect_how(TRACER_TRACEPOINT, KPROBE_MULTI, PROGRAM_SEED, "iterator over files");
	expect_how(TRACER_TRACEPOINT, KPROBE_MULTI, PROGRAM_UDP_SEND, "fentry");
	expect_how(TRACER_FENTRY, KPROBE_MULTI, PROGRAM_SET_STATE, "fentry");
	expect_how(TRACER_FENTRY, KPROBE_MULTI, PROGRAM_WALK_FLOWS, "iterator over flows");
	expect_how(TRACER_FENTRY, KPROBE_MULTI, PROGRAM_CONNECT, "fexit");
	expect_how(TRACER_KPROBE, KPROBE_MULTI, PROGRAM_SET_STATE, "kprobe.multi");
	expect_how(TRACER_KPROBE, KPROBE_MULTI, PROGRAM_CONNECT, "kretprobe.multi");
	expect_how(TRACER_KPROBE, KPROBE_LINK, PROGRAM_CONNECT, "kretprobe (perf event link)");
	expect_how(TRACER_KPROBE, KPROBE_PERF, PROGRAM_CONNECT6, "kretprobe (perf event)");
	expect_how(TRACER_KPROBE, KPROBE_LINK, PROGRAM_SET_STATE, "kprobe (perf event link)");
	expect_how(TRACER_KPROBE, KPROBE_PERF, PROGRAM_SET_STATE, "kprobe (perf event)");
}

static void test_manager_report_says_what_is_missing(void **state)
{
	static const char off[] = "connections are remembered in the other place",
			  gone[] = "the kernel does not have it";
	const struct tracer_type *type = tracer_type(TRACER_KPROBE);
	struct plan plan = all_planned(TRACER_KPROBE, STORE_TABLE);
	struct manager_options options;
	struct manager manager;
	struct msg_tracer report;
	char note[256];

	(void)state;
	plan.probes[2] = PROBE_MISSING;
	plan.off_why[2] = gone;
	plan.probes[4] = PROBE_OFF;
	plan.off_why[4] = off;
	options = options_of(&plan);
	manager_init(&manager, &options);
	manager.probes[0].state = PROBE_ATTACHED;
	manager.probes[0].verified_insns = 4321;
	manager.probes[1] = (struct probe_status){.state = PROBE_FAILED, .err = EPERM};
	manager.probes[3] = (struct probe_status){.state = PROBE_FAILED, .err = ENOENT};
	report_of(&manager, &report);

	assert_int_equal(report.probes[0].state, PROBE_ATTACHED);
	assert_int_equal(report.probes[0].verified_insns, 4321);
	assert_string_equal(report.probes[0].note, "");
	/* A required one has no "without". */
	assert_true(type->probes[1].required);
	assert_int_equal(report.probes[1].err, EPERM);
	assert_string_equal(report.probes[1].note, "");
	snprintf(note, sizeof(note), "%s: %s", gone, type->probes[2].without);
	assert_string_equal(report.probes[2].note, note);
	assert_int_equal(report.probes[3].state, PROBE_FAILED);
	assert_int_equal(report.probes[3].err, ENOENT);
	assert_string_equal(report.probes[3].note, type->probes[3].without);
	assert_int_equal(report.probes[4].state, PROBE_OFF);
	assert_string_equal(report.probes[4].note, off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manager_options_follow_the_configuration),
		cmocka_unit_test(test_manager_options_have_a_table_only_where_it_is_used),
		cmocka_unit_test(test_manager_constants_of_the_host),
		cmocka_unit_test(test_manager_constants_allow_only_helpers_that_are_there),
		cmocka_unit_test(test_manager_host_has_a_pid_namespace_only_to_filter_by),
		cmocka_unit_test(test_manager_init_begins_with_the_plan),
		cmocka_unit_test(test_manager_report_names_every_program),
		cmocka_unit_test(test_manager_report_says_how_a_program_is_attached),
		cmocka_unit_test(test_manager_report_says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
