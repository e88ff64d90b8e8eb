/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/metrics.h"
#include "exporter/loss.h"

#define PREFIX      "conntrace_"
#define SAMPLES_MAX 500u /* as docs/metrics.md says */

static struct status status;
static char text[METRICS_MAX];

static int setup(void **state)
{
	(void)state;
	memset(&status, 0, sizeof(status));
	return 0;
}

static void write_all(void)
{
	int len = metrics_write(&status, text, sizeof(text));

	assert_true(len > 0);
	assert_int_equal(strlen(text), len);
}

/* A whole line, as a sample is. */
static void expect(const char *line)
{
	char found[512];

	snprintf(found, sizeof(found), "\n%s\n", line);
	if (!strstr(text, found))
		fail_msg("no line %s", line);
}

static const struct metric *find(const char *name)
{
	for (uint32_t i = 0; i < metric_count; i++)
		if (!strcmp(metrics[i].name, name))
			return &metrics[i];
	fail_msg("no metric %s", name);
	return NULL;
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && !strcmp(name + len - end_len, end);
}

static void test_metrics_names_are_as_prometheus_wants_them(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < metric_count; i++) {
		const struct metric *metric = &metrics[i];

		assert_int_equal(strncmp(metric->name, PREFIX, strlen(PREFIX)), 0);
		assert_int_equal(strspn(metric->name, "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(metric->name));
		assert_ptr_equal(find(metric->name), metric); /* the first of its name */
		if (ends_with(metric->name, "_total") != (metric->type == METRIC_COUNTER))
			fail_msg("%s: counters end in _total, and nothing else", metric->name);
		if (ends_with(metric->name, "_seconds") && metric->per > 1)
			assert_true(metric->per == 1000 || metric->per == 1000000);
		assert_true(metric->help[0] && !strpbrk(metric->help, "\\\n|"));
		assert_int_equal(!metric->each, metric->row_count > 0);
	}
}

/* So that a number which is added there is not forgotten here. */
static void expect_once(enum metric_from from, enum role role, size_t at, const char *name)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < metric_count; i++) {
		for (uint32_t k = 0; k < metrics[i].row_count; k++) {
			const struct metric_row *row = &metrics[i].rows[k];
			const char *last = row->labels[1] ? row->labels[1] : row->labels[0];

			if (row->from != from || row->at != at ||
			    (from == METRIC_STAT && row->role != role))
				continue;
			found++;
			/* Which of the causes, or of the events, its name says. */
			if (last && strcmp(name, "told_deferred") != 0 && !ends_with(name, last) &&
			    !ends_with(name, row->labels[0]))
				fail_msg("%s as %s", name, last);
		}
	}
	if (found != 1)
		fail_msg("%s is in the table %u times", name, found);
}

static void test_metrics_have_every_number_once(void **state)
{
	static const enum role roles[] = {ROLE_LOADER, ROLE_EXPORTER, ROLE_POLLER};

	(void)state;
	for (uint32_t i = 0; i < MSG_COUNTERS; i++)
		expect_once(METRIC_U64, ROLE_COUNT,
			    offsetof(struct status, summary.counters) + i * sizeof(uint64_t),
			    status_counters[i]);
	for (uint32_t i = 0; i < MSG_LEDGER; i++)
		expect_once(METRIC_U64, ROLE_COUNT,
			    offsetof(struct status, summary.ledger) + i * sizeof(uint64_t),
			    status_ledger[i]);
	for (size_t r = 0; r < sizeof(roles) / sizeof(roles[0]); r++)
		for (uint32_t i = 0; i < stats_count(roles[r]); i++)
			if (roles[r] != ROLE_POLLER || i != STAT_POLLER_next_poll_ms)
				expect_once(METRIC_STAT, roles[r], i, stats_name(roles[r], i));
}

static void test_metrics_name_losses_as_markers_do(void **state)
{
	static const char *const names[] = {PREFIX "records_lost_total",
					    PREFIX "records_lost_told_total"};

	(void)state;
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		const struct metric *metric = find(names[n]);

		assert_int_equal(metric->row_count, LOSS_KINDS);
		for (uint32_t kind = 0; kind < LOSS_KINDS; kind++) {
			const char *records = loss_records(kind);

			assert_string_equal(metric->rows[kind].labels[0], loss_cause(kind));
			assert_string_equal(metric->rows[kind].labels[1],
					    records ? records : "unknown");
		}
	}
}

static void has_part(const char *name, uint32_t apply_state)
{
	struct msg_part_state *part = &status.source.parts[status.source.part_count++];

	status.has_source = true;
	snprintf(part->name, sizeof(part->name), "%s", name);
	part->state = apply_state;
}

static void test_metrics_escape_what_others_have_named(void **state)
{
	(void)state;
	has_part("a\"b\\c\nd\xc3\xa9.yaml", APPLY_ERROR);
	write_all();
	expect("conntrace_source_part_apply_state{part=\"a\\\"b\\\\x5cc\\\\x0ad\\\\xc3\\\\xa9."
	       "yaml\"}"
	       " 3");
}

static void test_metrics_have_no_two_samples_of_a_name(void **state)
{
	(void)state;
	has_part("a.yaml", APPLY_ACKNOWLEDGED);
	has_part("a.yaml", APPLY_ERROR);
	has_part("aa.yaml", APPLY_ERROR);
	write_all();
	expect("conntrace_source_part_apply_state{part=\"a.yaml\"} 2\n"
	       "conntrace_source_part_apply_state{part=\"aa.yaml\"} 3");
	assert_null(strstr(text, "part_apply_state{part=\"a.yaml\"} 3"));
}

static void test_metrics_are_in_base_units(void **state)
{
	struct status_process *loader = &status.processes[0];

	(void)state;
	status.process_count = 1;
	loader->told.role = ROLE_LOADER;
	loader->told.state = LIFE_RUNNING;
	loader->told.stats.count = STAT_LOADER_COUNT;
	loader->told.stats.values[STAT_LOADER_walk_last_us] = 12000034;
	loader->told.stats.values[STAT_LOADER_walk_longest_us] = 999999;
	loader->known = true;
	loader->facts.rss_kb = 3;
	status.has_source = true;
	status.source.probation_left_ms = 59005;
	status.identity.live = -2;
	write_all();
	expect("conntrace_walk_duration_seconds 12.000034");
	expect("conntrace_walk_longest_seconds 0.999999");
	expect("conntrace_process_resident_memory_bytes{process=\"loader\"} 3072");
	expect("conntrace_source_probation_left_seconds 59.005");
	expect("conntrace_live -2");
}

static void test_metrics_say_which_state_it_is(void **state)
{
	(void)state;
	status.summary.config_verdict = VERDICT_ROLLED_BACK;
	status.has_source = true;
	status.source.last.trust = TRUST_expired;
	status.steps[0].result = status.steps[1].result = STEP_DEGRADED;
	status.step_count = 2;
	write_all();
	expect("conntrace_config_verdict{verdict=\"refused\"} 0");
	expect("conntrace_config_verdict{verdict=\"rolled back\"} 1");
	expect("conntrace_source_trust{trust=\"expired\"} 1");
	expect("conntrace_source_trust{trust=\"accepted\"} 0");
	expect("conntrace_start_steps{result=\"degraded\"} 2");
	expect("conntrace_start_steps{result=\"ok\"} 0");
}

static void test_metrics_leave_out_what_is_not_there(void **state)
{
	struct status_process *verifier = &status.processes[0];

	(void)state;
	status.process_count = 2;
	verifier->told.role = ROLE_VERIFIER;
	verifier->told.state = LIFE_STARTING;
	status.processes[1].told.role = ROLE_POLLER;
	status.processes[1].told.state = LIFE_IDLE;
	write_all();
	assert_null(strstr(text, "conntrace_source"));
	assert_null(strstr(text, "conntrace_nat"));
	assert_null(strstr(text, "conntrace_filter"));
	assert_null(strstr(text, "conntrace_process_up"));
	assert_null(strstr(text, "conntrace_process_resident"));
	expect("conntrace_process_restarts_total{process=\"verifier\"} 0");
}

static void fill_filters(void)
{
	struct config *config = &status.summary.config;

	status.summary.hits_known = 1;
	config->filter_count = FILTERS_MAX;
	for (uint32_t i = 0; i < FILTERS_MAX; i++) {
		struct config_filter *filter = &config->filters[i];

		filter->match = (struct filter){.action = FILTER_INCLUDE,
						.families = FAMILY_IPV6,
						.port_low = 10000,
						.port_high = 20000,
						.protocols = PROTOCOL_TCP,
						.by_cgroup = 1,
						.sample = 1000000,
						.prefix_bits = 128};
		memset(filter->match.addr, 0x11, sizeof(filter->match.addr));
		memset(filter->cgroup, 0x80, sizeof(filter->cgroup) - 1);
	}
	memset(status.summary.hits, 0x7f, sizeof(status.summary.hits));
}

/* Texts and numbers of the greatest length, no two of a name. */
static void fill(void)
{
	memset(status.summary.counters, 0x7f, sizeof(status.summary.counters));
	memset(status.summary.ledger, 0x7f, sizeof(status.summary.ledger));
	fill_filters();
	for (uint32_t i = 0; i < STATUS_PROCESSES_MAX; i++) {
		struct msg_process *told = &status.processes[i].told;

		told->role = i % ROLE_COUNT;
		told->stats.count = stats_count(told->role);
		memset(told->stats.values, 0x7f, sizeof(told->stats.values));
	}
	status.process_count = STATUS_PROCESSES_MAX;
	status.tracer.probe_count = MSG_PROBES_MAX;
	for (uint32_t i = 0; i < MSG_PROBES_MAX; i++) {
		struct msg_probe *probe = &status.tracer.probes[i];

		memset(probe->program, 0x81 + (int)i, sizeof(probe->program) - 1);
		probe->state = PROBE_ATTACHED;
	}
	for (uint32_t i = 0; i < MSG_PARTS_MAX; i++) {
		char name[CONFIG_NAME_MAX] = "";

		memset(name, 0x81 + (int)i, sizeof(name) - 1);
		has_part(name, APPLY_ERROR);
	}
	status.trouble.outcome_count = MSG_OUTCOMES_MAX;
	for (uint32_t i = 0; i < MSG_OUTCOMES_MAX; i++)
		status.trouble.outcomes[i] =
			(struct msg_outcome_count){i % TRACER_COUNT, i % OUTCOME_COUNT, INT64_MAX};
	status.trouble.refusal_count = MSG_REFUSALS_MAX;
	for (uint32_t i = 0; i < MSG_REFUSALS_MAX; i++)
		status.trouble.refusals[i] = (struct msg_refusal){i % TELEMETRY_ROWS, i, INT64_MAX};
	status.summary.config.nat = 1;
}

static uint32_t count_samples(void)
{
	uint32_t samples = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1)
		samples += *line != '#';
	return samples;
}

static void test_metrics_have_room_for_the_longest(void **state)
{
	static char little[METRICS_MAX];
	int len;

	(void)state;
	fill();
	write_all();
	len = (int)strlen(text);
	assert_non_null(strstr(text, "conntrace_source_store_error 0\n"));
	assert_true(count_samples() <= SAMPLES_MAX);
	assert_true((size_t)len < sizeof(text));
	assert_int_equal(metrics_write(&status, little, (size_t)len), -EMSGSIZE);
	assert_int_equal(metrics_write(&status, little, (size_t)len + 1), len);
}

/* The labels in a cell: `cause`, `event` */
static void cell_of_labels(const struct metric *metric, char *cell, size_t cap)
{
	size_t len = 0;

	cell[0] = '\0';
	for (uint32_t i = 0; metrics_label(metric, i) && len < cap; i++)
		len += (size_t)snprintf(cell + len, cap - len, "%s`%s`", i ? ", " : "",
					metrics_label(metric, i));
}

static void test_metrics_are_what_the_documentation_says(void **state)
{
	FILE *file = fopen("docs/metrics.md", "rb");
	char line[1024], row[1024], cell[128];
	uint32_t next = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "| `" PREFIX, strlen("| `" PREFIX)) != 0)
			continue;
		if (next == metric_count)
			fail_msg("docs/metrics.md: no such metric: %s", line);
		cell_of_labels(&metrics[next], cell, sizeof(cell));
		snprintf(row, sizeof(row), "| `%s` | %s | %s%s| %s |\n", metrics[next].name,
			 metrics_type(metrics[next].type), cell, cell[0] ? " " : "",
			 metrics[next].help);
		if (strcmp(line, row) != 0)
			fail_msg("docs/metrics.md has %snot %s", line, row);
		next++;
	}
	fclose(file);
	if (next < metric_count)
		fail_msg("docs/metrics.md lacks %s", metrics[next].name);
}

static void test_status_each_state_of_a_process_has_a_word(void **state)
{
	(void)state;
	for (uint32_t life = 0; life < LIFE_STATE_COUNT; life++) {
		assert_non_null(status_life_state(life));
		assert_string_not_equal(status_life_state(life), "unknown");
	}
	assert_string_equal(status_life_state(LIFE_STATE_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_names_are_as_prometheus_wants_them),
		cmocka_unit_test(test_metrics_have_every_number_once),
		cmocka_unit_test(test_metrics_name_losses_as_markers_do),
		cmocka_unit_test_setup(test_metrics_escape_what_others_have_named, setup),
		cmocka_unit_test_setup(test_metrics_have_no_two_samples_of_a_name, setup),
		cmocka_unit_test_setup(test_metrics_are_in_base_units, setup),
		cmocka_unit_test_setup(test_metrics_say_which_state_it_is, setup),
		cmocka_unit_test_setup(test_metrics_leave_out_what_is_not_there, setup),
		cmocka_unit_test_setup(test_metrics_have_room_for_the_longest, setup),
		cmocka_unit_test(test_metrics_are_what_the_documentation_says),
		cmocka_unit_test(test_status_each_state_of_a_process_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
