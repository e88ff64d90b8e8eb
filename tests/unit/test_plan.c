/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "features_debian.h"
#include "features_hardened.h"
#include "loader/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum config_tracer tracers[] = {TRACER_FENTRY, TRACER_TRACEPOINT, TRACER_KPROBE};

static struct features debian(enum circumstance circumstance, enum debian_line line)
{
	struct features features;

	for (uint32_t i = 0; i < FEATURE_COUNT; i++)
		features.of[i] = features_debian[circumstance][i][line];
	return features;
}

/* As asked for by name on a host: nothing but the kernel decides. */
static enum plan_result make(struct plan *plan, enum config_tracer tracer,
			     const struct features *features)
{
	return plan_make(plan, tracer, true, INSTANCE_HOST, features);
}

static void expect_why(const struct plan *plan, const char *words)
{
	if (!strstr(plan->why, words))
		fail_msg("'%s' is not in: %s", words, plan->why);
}

/* Both are reported, "WHY: WITHOUT", and must fit. */
static void expect_note(const char *why, const char *without)
{
	assert_in_range(strlen(why) + strlen(without), 1,
			sizeof(((struct msg_probe *)0)->note) - sizeof(": "));
}

/* The probes in their order, P planned, O off, M missing; each but the planned says why. */
static void expect_probes(const struct plan *plan, const char *letters)
{
	const struct tracer_type *type = tracer_type(plan->tracer);

	assert_int_equal(strlen(letters), type->probe_count);
	for (uint32_t i = 0; i < type->probe_count; i++) {
		enum probe_state want = letters[i] == 'P'   ? PROBE_PLANNED
					: letters[i] == 'O' ? PROBE_OFF
							    : PROBE_MISSING;

		if (plan->probes[i] != want)
			fail_msg("%s %s: %u", type->name, type->probes[i].program, plan->probes[i]);
		assert_int_equal(plan->off_why[i] != NULL, want != PROBE_PLANNED);
		if (want == PROBE_MISSING && plan->off_why[i] && type->probes[i].without)
			expect_note(plan->off_why[i], type->probes[i].without);
		assert_int_equal(plan_has(plan, i), want == PROBE_PLANNED);
	}
	for (uint32_t i = type->probe_count; i < TRACER_PROBES_MAX; i++)
		assert_false(plan_has(plan, i));
}

/* --- the order --- */

static void test_plan_order_suits_the_instance(void **state)
{
	struct plan_order order;

	(void)state;
	for (uint32_t instance = INSTANCE_HOST; instance < INSTANCE_COUNT; instance++) {
		bool fargate = instance == INSTANCE_ECS_FARGATE || instance == INSTANCE_EKS_FARGATE;

		plan_order(&order, TRACER_AUTO, (enum config_instance)instance);
		assert_int_equal(plan_is_fargate((enum config_instance)instance), fargate);
		assert_int_equal(order.count, fargate ? 2 : 3);
		assert_int_equal(order.tracers[0], TRACER_FENTRY);
		assert_int_equal(order.tracers[1], TRACER_TRACEPOINT);
		if (!fargate)
			assert_int_equal(order.tracers[2], TRACER_KPROBE);
	}
}

static void test_plan_order_is_the_one_asked_for_by_name(void **state)
{
	struct plan_order order;

	(void)state;
	for (size_t i = 0; i < COUNT(tracers); i++) {
		for (uint32_t instance = INSTANCE_HOST; instance < INSTANCE_COUNT; instance++) {
			plan_order(&order, tracers[i], (enum config_instance)instance);
			assert_int_equal(order.count, 1);
			assert_int_equal(order.tracers[0], tracers[i]);
		}
	}
}

static void test_plan_fentry_is_for_fargate_or_asked_for(void **state)
{
	struct features features = debian(PARANOID_2, LINUX_6_12);
	struct plan plan;

	(void)state;
	for (uint32_t i = INSTANCE_HOST; i < INSTANCE_COUNT; i++) {
		enum config_instance instance = (enum config_instance)i;

		assert_int_equal(plan_make(&plan, TRACER_FENTRY, true, instance, &features),
				 PLAN_OK);
		assert_int_equal(plan_make(&plan, TRACER_FENTRY, false, instance, &features),
				 plan_is_fargate(instance) ? PLAN_OK : PLAN_NOT_SUPPORTED);
		if (!plan_is_fargate(instance))
			expect_why(&plan, "not supported: not on this instance: it is for Fargate");
		assert_int_equal(plan_make(&plan, TRACER_TRACEPOINT, false, instance, &features),
				 PLAN_OK);
	}
}

/* --- what the kernels of the matrix are fit for --- */

#define NO_SEED "no task_file: connections older than the tracer are not known before they end"
#define NO_UDP  "UDP is not traced: the kernel refuses "

/*
 * The probes of the types in tracer.c: set_state and destroy; then of fentry and kprobe listen,
 * accept and child; then the walks, over socket storage (not kprobe), over the table, over files;
 * then the six of UDP, and those of connect, two or, of kprobe, four.
 */
static const struct row {
	enum circumstance circumstance;
	enum debian_line first, last;
	enum config_tracer tracer;
	enum plan_result result;
	enum probe_store store;
	const char *probes; /* NULL: it did not come to that */
	const char *why;
} rows[] = {
	{AS_BOOTED, LINUX_5_10, LINUX_5_10, TRACER_FENTRY, PLAN_DEGRADED, STORE_TABLE,
	 "PPPPPOPMPPPPPPPP", NO_SEED},
	{AS_BOOTED, LINUX_6_1, LINUX_NEWEST, TRACER_FENTRY, PLAN_OK, STORE_SOCKET,
	 "PPPPOPOPPPPPPPPP", ""},
	{AS_BOOTED, LINUX_5_10, LINUX_5_10, TRACER_TRACEPOINT, PLAN_DEGRADED, STORE_TABLE,
	 "PPOPMPPPPPPPP", NO_SEED},
	{AS_BOOTED, LINUX_6_1, LINUX_NEWEST, TRACER_TRACEPOINT, PLAN_OK, STORE_SOCKET,
	 "PPPOPPPPPPPPP", ""},
	{AS_BOOTED, LINUX_5_10, LINUX_6_1, TRACER_KPROBE, PLAN_NOT_SUPPORTED, STORE_TABLE, NULL,
	 "sysctl kernel.perf_event_paranoid=2"},
	{AS_BOOTED, LINUX_6_12, LINUX_NEWEST, TRACER_KPROBE, PLAN_OK, STORE_TABLE,
	 "PPPPPPPPPPPPPPPPP", ""},

	{PARANOID_2, LINUX_5_10, LINUX_5_10, TRACER_FENTRY, PLAN_DEGRADED, STORE_TABLE,
	 "PPPPPOPMPPPPPPPP", NO_SEED},
	{PARANOID_2, LINUX_6_1, LINUX_NEWEST, TRACER_FENTRY, PLAN_OK, STORE_SOCKET,
	 "PPPPOPOPPPPPPPPP", ""},
	{PARANOID_2, LINUX_5_10, LINUX_5_10, TRACER_TRACEPOINT, PLAN_DEGRADED, STORE_TABLE,
	 "PPOPMPPPPPPPP", NO_SEED},
	{PARANOID_2, LINUX_6_1, LINUX_NEWEST, TRACER_TRACEPOINT, PLAN_OK, STORE_SOCKET,
	 "PPPOPPPPPPPPP", ""},
	{PARANOID_2, LINUX_5_10, LINUX_5_10, TRACER_KPROBE, PLAN_DEGRADED, STORE_TABLE,
	 "PPPPPPMPPPPPPPPPP", NO_SEED},
	{PARANOID_2, LINUX_6_1, LINUX_NEWEST, TRACER_KPROBE, PLAN_OK, STORE_TABLE,
	 "PPPPPPPPPPPPPPPPP", ""},

	{LOCKED_DOWN, LINUX_5_10, LINUX_5_10, TRACER_FENTRY, PLAN_DEGRADED, STORE_TABLE,
	 "PPPPPOMMMMMMMMMM", "no bpf_map_elem: live connections are not listed"},
	{LOCKED_DOWN, LINUX_6_1, LINUX_NEWEST, TRACER_FENTRY, PLAN_DEGRADED, STORE_SOCKET,
	 "PPPPOPOPMMMMMMMM", NO_UDP "programs that read kernel memory"},
	{LOCKED_DOWN, LINUX_5_10, LINUX_5_10, TRACER_TRACEPOINT, PLAN_DEGRADED, STORE_TABLE,
	 "PPOMMMMMMMMMM", "no bpf_map_elem: live connections are not listed"},
	{LOCKED_DOWN, LINUX_6_1, LINUX_NEWEST, TRACER_TRACEPOINT, PLAN_DEGRADED, STORE_SOCKET,
	 "PPPOPMMMMMMMM", NO_UDP "programs that read kernel memory"},
	{LOCKED_DOWN, LINUX_5_10, LINUX_NEWEST, TRACER_KPROBE, PLAN_NOT_SUPPORTED, STORE_TABLE,
	 NULL, "lockdown=confidentiality"},

	{WITHOUT_BTF, LINUX_5_10, LINUX_5_10, TRACER_FENTRY, PLAN_NOT_SUPPORTED, STORE_TABLE, NULL,
	 "kernel's own BTF"},
	{WITHOUT_BTF, LINUX_6_1, LINUX_NEWEST, TRACER_FENTRY, PLAN_NOT_SUPPORTED, STORE_SOCKET,
	 NULL, "kernel's own BTF"},
	{WITHOUT_BTF, LINUX_5_10, LINUX_5_10, TRACER_TRACEPOINT, PLAN_NOT_SUPPORTED, STORE_TABLE,
	 NULL, "kernel's own BTF"},
	{WITHOUT_BTF, LINUX_6_1, LINUX_NEWEST, TRACER_TRACEPOINT, PLAN_NOT_SUPPORTED, STORE_SOCKET,
	 NULL, "kernel's own BTF"},
	{WITHOUT_BTF, LINUX_5_10, LINUX_NEWEST, TRACER_KPROBE, PLAN_DEGRADED, STORE_TABLE,
	 "PPPPPMMMMMMMMPPPP", "no bpf_map_elem: live connections are not listed"},
};

static void check_row(const struct row *row, enum debian_line line)
{
	struct features features = debian(row->circumstance, line);
	struct plan plan;
	enum plan_result result = make(&plan, row->tracer, &features);

	if (result != row->result)
		fail_msg("circumstance %u, line %u, %s: %u: %s", row->circumstance, line,
			 tracer_type(row->tracer)->name, result, plan.why);
	assert_int_equal(plan.tracer, row->tracer);
	assert_int_equal(plan.store, row->store);
	expect_why(&plan, row->why);
	if (result == PLAN_OK)
		assert_string_equal(plan.why, "");
	if (row->probes)
		expect_probes(&plan, row->probes);
}

static void test_plan_for_the_kernels_of_the_matrix(void **state)
{
	uint32_t seen[CIRCUMSTANCES][DEBIAN_LINES][TRACER_COUNT] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (uint32_t line = rows[i].first; line <= rows[i].last; line++) {
			check_row(&rows[i], (enum debian_line)line);
			seen[rows[i].circumstance][line][rows[i].tracer]++;
		}
	}
	for (uint32_t c = 0; c < CIRCUMSTANCES; c++)
		for (uint32_t line = 0; line < DEBIAN_LINES; line++)
			for (size_t t = 0; t < COUNT(tracers); t++)
				assert_int_equal(seen[c][line][tracers[t]], 1);
}

static void test_plan_kprobes_attach_in_the_best_way_there_is(void **state)
{
	static const enum plan_kprobe best[DEBIAN_LINES] = {[LINUX_5_10] = KPROBE_PERF,
							    [LINUX_6_1] = KPROBE_LINK,
							    [LINUX_6_12] = KPROBE_MULTI,
							    [LINUX_NEWEST] = KPROBE_MULTI};

	(void)state;
	for (uint32_t c = 0; c < CIRCUMSTANCES; c++) {
		for (uint32_t line = 0; line < DEBIAN_LINES; line++) {
			struct features features =
				debian((enum circumstance)c, (enum debian_line)line);
			struct plan plan;

			(void)make(&plan, TRACER_KPROBE, &features);
			assert_int_equal(plan.kprobe, best[line]);
		}
	}
}

static void test_plan_kprobes_need_either_way(void **state)
{
	struct features features = debian(PARANOID_2, LINUX_6_12);
	struct plan plan;

	(void)state;
	features.of[FEATURE_kprobe_pmu] = 0;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_OK);
	features.of[FEATURE_kprobe_multi] = 0;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_NOT_SUPPORTED);
	features.of[FEATURE_kprobe_pmu] = 1;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_OK);
	assert_int_equal(plan.kprobe, KPROBE_LINK);
}

static void test_plan_for_a_hardened_kernel(void **state)
{
	struct plan plan;

	(void)state;
	assert_int_equal(make(&plan, TRACER_FENTRY, &features_hardened), PLAN_NOT_SUPPORTED);
	expect_why(&plan, "refuses fentry programs");
	assert_int_equal(make(&plan, TRACER_KPROBE, &features_hardened), PLAN_NOT_SUPPORTED);
	expect_why(&plan, "no kprobes (CONFIG_KPROBE_EVENTS)");
	assert_int_equal(make(&plan, TRACER_TRACEPOINT, &features_hardened), PLAN_DEGRADED);
	assert_string_equal(plan.why, NO_UDP "fentry programs; connects that fail at once are not "
					     "recorded: the kernel refuses fentry programs");
	assert_int_equal(plan.store, STORE_SOCKET);
	expect_probes(&plan, "PPPOPMMMMMMMM");
}

/* --- one thing missing --- */

static void expect_all_unsupported(const struct features *features, const char *words)
{
	for (size_t i = 0; i < COUNT(tracers); i++) {
		struct plan plan;

		assert_int_equal(make(&plan, tracers[i], features), PLAN_NOT_SUPPORTED);
		expect_why(&plan, words);
	}
}

static void test_plan_no_tracer_without_a_ring(void **state)
{
	struct features features = debian(PARANOID_2, LINUX_6_12);

	(void)state;
	features.of[FEATURE_try_ring] = EINVAL;
	expect_all_unsupported(&features, "no BPF ring buffer");
}

/* Whether a tracer that can run has UDP though the kernel refuses that. */
static bool has_udp_without(enum config_tracer tracer, enum feature trial)
{
	return trial != FEATURE_try_read &&
	       !(tracer == TRACER_TRACEPOINT && trial == FEATURE_try_fentry);
}

static void test_plan_names_the_trial_that_was_refused(void **state)
{
	static const struct {
		enum feature trial;
		enum config_tracer tracer;
		const char *words;
	} trials[] = {
		{FEATURE_try_fentry, TRACER_FENTRY, "refuses fentry programs"},
		{FEATURE_try_tracepoint, TRACER_TRACEPOINT, "refuses programs for BTF tracepoints"},
		{FEATURE_try_kprobe, TRACER_KPROBE, "refuses programs for kprobes"},
		{FEATURE_try_read, TRACER_KPROBE, "refuses programs that read kernel memory"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(trials); i++) {
		struct features features = debian(PARANOID_2, LINUX_6_12);

		features.of[trials[i].trial] = EPERM;
		for (size_t t = 0; t < COUNT(tracers); t++) {
			struct plan plan;
			enum plan_result result = make(&plan, tracers[t], &features);

			if (tracers[t] != trials[i].tracer) {
				bool udp = has_udp_without(tracers[t], trials[i].trial);

				assert_int_equal(result, udp ? PLAN_OK : PLAN_DEGRADED);
				expect_why(&plan, udp ? "" : NO_UDP);
				continue;
			}
			assert_int_equal(result, PLAN_NOT_SUPPORTED);
			expect_why(&plan, trials[i].words);
			assert_null(strstr(plan.why, "lockdown"));
		}
	}
}

static void test_plan_blames_the_sysctl_only_where_it_is_to_blame(void **state)
{
	static const int32_t innocent[] = {FEATURE_UNKNOWN, 0, 2};
	struct features features = debian(AS_BOOTED, LINUX_6_1);
	struct plan plan;

	(void)state;
	for (size_t i = 0; i < COUNT(innocent); i++) {
		features.of[FEATURE_perf_event_paranoid] = innocent[i];
		assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_NOT_SUPPORTED);
		expect_why(&plan, "perf_event_open() is refused by a seccomp filter");
		assert_null(strstr(plan.why, "paranoid"));
	}
	features.of[FEATURE_perf_event_paranoid] = 4;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_NOT_SUPPORTED);
	expect_why(&plan, "kernel.perf_event_paranoid");
}

static void test_plan_holds_nothing_against_a_kernel_that_was_not_tried(void **state)
{
	struct features features = debian(PARANOID_2, LINUX_6_1);
	struct plan plan;

	(void)state;
	for (uint32_t i = FEATURE_try_ring; i < FEATURE_COUNT; i++)
		features.of[i] = FEATURE_UNKNOWN;
	for (size_t i = 0; i < COUNT(tracers); i++)
		assert_int_equal(make(&plan, tracers[i], &features), PLAN_OK);
}

/* Calls check() with each tracer and each of its probes, on a kernel with each store. */
static void with_each_probe(void (*check)(const struct features *features, enum config_tracer which,
					  uint32_t i))
{
	static const enum debian_line lines[] = {LINUX_5_10, LINUX_6_12};

	for (size_t l = 0; l < COUNT(lines); l++) {
		for (size_t t = 0; t < COUNT(tracers); t++) {
			for (uint32_t i = 0; i < tracer_type(tracers[t])->probe_count; i++) {
				struct features features = debian(PARANOID_2, lines[l]);

				/* A trial needs the function or tracepoint, too. */
				features.of[FEATURE_try_fentry] = FEATURE_UNKNOWN;
				features.of[FEATURE_try_tracepoint] = FEATURE_UNKNOWN;
				/* Nothing else is missing. */
				features.of[FEATURE_sock_from_file] = 1;
				features.of[tracer_type(tracers[t])->probes[i].present] = 0;
				check(&features, tracers[t], i);
			}
		}
	}
}

static void without_required(const struct features *features, enum config_tracer which, uint32_t i)
{
	const struct probe *probe = &tracer_type(which)->probes[i];
	struct plan plan;

	if (!probe->required)
		return;
	assert_int_equal(make(&plan, which, features), PLAN_HOOK_MISSING);
	expect_why(&plan, "required: ");
	expect_why(&plan, probe->hook);
	expect_why(&plan, "the kernel does not have it");
	assert_int_equal(plan.probes[i], PROBE_MISSING);
}

static void test_plan_a_required_hook_that_is_missing_ends_it(void **state)
{
	(void)state;
	with_each_probe(without_required);
}

static void without_optional(const struct features *features, enum config_tracer which, uint32_t i)
{
	const struct probe *probe = &tracer_type(which)->probes[i];
	struct plan plan;
	enum plan_result result;

	/* More than one program needs the iterator over a map. */
	if (probe->required || probe->present == FEATURE_iter_map)
		return;
	result = make(&plan, which, features);
	if (probe->store != STORE_ANY && probe->store != plan.store) {
		assert_int_equal(result, PLAN_OK);
		assert_int_equal(plan.probes[i], PROBE_OFF);
		return;
	}
	assert_int_equal(result, PLAN_DEGRADED);
	expect_why(&plan, probe->hook);
	expect_why(&plan, probe->without);
	assert_int_equal(plan.probes[i], PROBE_MISSING);
	assert_string_equal(plan.off_why[i], "the kernel does not have it");
	expect_note("the kernel does not have it", probe->without);
	for (uint32_t other = 0; other < tracer_type(which)->probe_count; other++)
		assert_int_equal(plan.probes[other] == PROBE_MISSING,
				 tracer_type(which)->probes[other].present == probe->present);
}

static void test_plan_an_optional_hook_that_is_missing_degrades(void **state)
{
	(void)state;
	with_each_probe(without_optional);
}

static void test_plan_names_all_that_is_missing(void **state)
{
	struct features features = debian(PARANOID_2, LINUX_6_1);
	struct plan plan;

	(void)state;
	features.of[FEATURE_fn_security_sock_graft] = 0;
	features.of[FEATURE_iter_map] = 0;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_DEGRADED);
	expect_probes(&plan, "PPPMPMPMMMMMMPPPP");
	assert_string_equal(plan.why,
			    "no security_sock_graft: an accepted connection belongs to "
			    "its listener until it closes; no bpf_map_elem: live "
			    "connections are not listed; UDP is not traced: UDP flows are "
			    "ended by an iterator, which the kernel does not have");
	/* More than there is room for. */
	features.of[FEATURE_fn_inet_csk_listen_start] = 0;
	features.of[FEATURE_fn_tcp_child_process] = 0;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_DEGRADED);
	expect_probes(&plan, "PPMMMMPMMMMMMPPPP");
	assert_int_equal(strlen(plan.why), PLAN_WHY_MAX - 1);
}

static void test_plan_says_when_hooks_can_not_be_looked_for(void **state)
{
	struct features features = debian(WITHOUT_BTF, LINUX_6_1);
	struct plan plan;

	(void)state;
	features.of[FEATURE_kallsyms] = 0;
	for (uint32_t i = FEATURE_kprobe_multi; i < FEATURE_try_ring; i++)
		features.of[i] = 0;
	assert_int_equal(make(&plan, TRACER_KPROBE, &features), PLAN_HOOK_MISSING);
	expect_why(&plan, "neither BTF nor /proc/kallsyms can be read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan_order_suits_the_instance),
		cmocka_unit_test(test_plan_order_is_the_one_asked_for_by_name),
		cmocka_unit_test(test_plan_fentry_is_for_fargate_or_asked_for),
		cmocka_unit_test(test_plan_for_the_kernels_of_the_matrix),
		cmocka_unit_test(test_plan_kprobes_attach_in_the_best_way_there_is),
		cmocka_unit_test(test_plan_kprobes_need_either_way),
		cmocka_unit_test(test_plan_for_a_hardened_kernel),
		cmocka_unit_test(test_plan_no_tracer_without_a_ring),
		cmocka_unit_test(test_plan_names_the_trial_that_was_refused),
		cmocka_unit_test(test_plan_blames_the_sysctl_only_where_it_is_to_blame),
		cmocka_unit_test(test_plan_holds_nothing_against_a_kernel_that_was_not_tried),
		cmocka_unit_test(test_plan_a_required_hook_that_is_missing_ends_it),
		cmocka_unit_test(test_plan_an_optional_hook_that_is_missing_degrades),
		cmocka_unit_test(test_plan_names_all_that_is_missing),
		cmocka_unit_test(test_plan_says_when_hooks_can_not_be_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
