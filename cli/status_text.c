/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/safe.h"
#include "cli/status.h"
#include "common/privs.h"
#include "common/words.h"
#include "record/table.h"

static const char *since(const struct status *status, uint64_t started_ns)
{
	static char out[16];

	table_duration(status_since_s(status, started_ns) * 1000000000u, out);
	return out;
}

static void print_row(const struct status *status, const struct status_process *process)
{
	static const char *const seccomp[] = {"none", "strict", "filter"};
	const struct msg_process *told = &process->told;
	const struct process_facts *facts = &process->facts;

	printf("  %-10s ", proto_role_name(told->role));
	if (told->pid)
		printf("%7u %-9s", told->pid, status_life_state(told->state));
	else
		printf("%7s %-9s", "-", status_life_state(told->state));
	if (process->known)
		printf(" %6u %-3s %-7s %7lluK", facts->uid, facts->no_new_privs ? "yes" : "no",
		       facts->seccomp < 3 ? seccomp[facts->seccomp] : "?",
		       (unsigned long long)facts->rss_kb);
	else
		printf(" %6s %-3s %-7s %8s", "-", "-", "-", "-");
	printf(" %8u %8u %8s\n", told->restarts, told->replaced,
	       told->pid ? since(status, told->started_ns) : "-");
}

/* A set of nearly everything says no more by its names. */
static void print_caps(enum process_set set, uint64_t caps)
{
	char names[STATUS_NAMES_MAX];
	int count = __builtin_popcountll(caps);

	privs_caps_text(caps, names, sizeof(names));
	if (count > 8)
		snprintf(names, sizeof(names), "%d capabilities", count);
	printf("%s %s %s", set ? ";" : "", process_set_name(set), names);
}

static void print_details(const struct status_process *process)
{
	const struct msg_process *told = &process->told;

	if (process->known) {
		printf("    capabilities:");
		for (int set = 0; set < PROCESS_SET_COUNT; set++)
			print_caps((enum process_set)set, process->facts.caps[set]);
		printf("\n");
	}
	if (told->stats.count) {
		printf("    numbers:");
		for (uint32_t i = 0; i < told->stats.count; i++)
			if (stats_name(told->role, i))
				printf("%s %s %llu", i ? "," : "", stats_name(told->role, i),
				       (unsigned long long)told->stats.values[i]);
		printf("\n");
	}
	if (told->last[0])
		printf("    last ended: %s\n", safe(told->last));
	if (told->words[0])
		printf("    last crash: %s\n", safe(told->words));
}

static void print_processes(const struct status *status)
{
	printf("\nprocesses\n  %-10s %7s %-9s %6s %-3s %-7s %8s %8s %8s %8s\n", "NAME", "PID",
	       "STATE", "UID", "NNP", "SECCOMP", "RSS", "RESTARTS", "REPLACED", "UPTIME");
	for (uint32_t i = 0; i < status->process_count; i++) {
		print_row(status, &status->processes[i]);
		print_details(&status->processes[i]);
	}
}

static void print_ladder(const struct status *status)
{
	char duration[16];

	printf("\nladder\n");
	for (uint32_t i = 0; i < status->step_count; i++) {
		const struct msg_step *step = &status->steps[i];

		table_duration(step->duration_us * 1000, duration);
		printf("  %-12s", safe(step->tracer));
		printf(" %-16s", safe(step->name));
		printf(" %-13s %7s  %s\n", status_step_result(step->result), duration,
		       safe(step->detail));
	}
}

static void print_tracer(const struct msg_tracer *tracer)
{
	if (!tracer->probe_count)
		return;
	printf("\ntracer %s, instance %s (%s), tenant filter %s, BTF %s\n", safe(tracer->tracer),
	       status_instance(tracer->instance), tracer->evidence,
	       tracer->tenants_only ? "on" : "off", tracer->btf);
	printf("  %-18s %-22s %-24s %-9s %8s %6s\n", "PROGRAM", "HOOK", "HOW", "STATE", "VERIFIED",
	       "MISSED");
	for (uint32_t i = 0; i < tracer->probe_count; i++) {
		const struct msg_probe *probe = &tracer->probes[i];

		printf("  %-18s", safe(probe->program));
		printf(" %-22s", safe(probe->hook));
		printf(" %-24s %-9s %8u %6llu\n", safe(probe->how),
		       status_probe_state(probe->state), probe->verified_insns,
		       (unsigned long long)probe->missed);
		if (probe->err)
			printf("    %s\n", strerror((int)probe->err));
		if (probe->note[0] && probe->state != PROBE_OFF)
			printf("    %s\n", safe(probe->note));
	}
}

static void print_trouble(const struct msg_trouble *trouble)
{
	for (uint32_t i = 0; i < trouble->outcome_count; i++)
		printf("%s %s %s: %llu",
		       i ? "," : "  attempts:", status_tracer(trouble->outcomes[i].tracer),
		       status_outcome(trouble->outcomes[i].outcome),
		       (unsigned long long)trouble->outcomes[i].count);
	printf("%s", trouble->outcome_count ? "\n" : "");
	for (uint32_t i = 0; i < trouble->refusal_count; i++)
		printf("  refused: %s %s: %llu\n", status_telemetry[trouble->refusals[i].row],
		       status_refusal(trouble->refusals[i].err),
		       (unsigned long long)trouble->refusals[i].count);
}

static void print_config(const struct msg_summary *summary)
{
	const struct config *config = &summary->config;

	printf("\nconfiguration %u\n", summary->config_version);
	printf("  last verdict: %s%s%s\n", status_verdict(summary->config_verdict),
	       summary->config_reason[0] ? ": " : "", safe(summary->config_reason));
	printf("  tracer %s, instance %s, families%s%s, open records %s, snapshot every %u ms\n",
	       status_tracer(config->tracer), status_instance(config->instance),
	       config->families & FAMILY_IPV4 ? " 4" : "",
	       config->families & FAMILY_IPV6 ? " 6" : "", config->record_open ? "yes" : "no",
	       config->snapshot_interval_ms);
	if (config->btf_path[0])
		printf("  btf %s\n", safe(config->btf_path));
	printf("  ring %u bytes, at most %u connections remembered, %u UDP flows, %u "
	       "listed\n",
	       config->ring_bytes, config->conn_max, config->flow_max, config_listed_max(config));
	if (config->nat)
		printf("  nat: at most %u translated connections, %u bytes of events\n",
		       config->nat_max, config->nat_buffer_bytes);
	printf("  output %s, format %s\n", safe(config->output_path),
	       status_format(config->output_format));
}

static void print_roles(const struct msg_source *source)
{
	char text[WORDS_WARNING_MAX];

	for (uint32_t role = 0; role < MSG_ROLES; role++) {
		uint64_t expires_s = source->in_force.expires_s[role];

		if (!words_has_role(source, role))
			continue;
		printf("%s %s %llu", role ? "," : "  in force:", words_role(role),
		       (unsigned long long)source->in_force.versions[role]);
		if (expires_s)
			printf(" until %s", words_time(expires_s, text));
	}
	printf("\n");
	for (uint32_t role = 0; role < MSG_ROLES; role++)
		if (words_expiry_warning(source, role, text))
			printf("  warning: %s\n", text);
	if (source->last.trust != TRUST_none)
		printf("  last fetched: %s%s%s\n", words_trust(source->last.trust),
		       source->last.why[0] ? ": " : "", safe(source->last.why));
	if (source->store[0])
		printf("  store: %s\n", safe(source->store));
}

static void print_parts(const struct msg_source *source)
{
	for (uint32_t i = 0; i < source->part_count; i++) {
		const struct msg_part_state *part = &source->parts[i];

		printf("  %-14s", status_apply_state(part->state));
		printf(" %s", safe(part->name));
		printf("%s%s\n", part->error[0] ? ":" : "", safe(part->error));
	}
}

static void print_reports(const struct status *status)
{
	const char *url = status->summary.config.source.report;
	const char *error = status->source.polled.report_error;

	if (!url[0])
		return;
	printf("  reports to %s: sent %llu, failed %llu", safe(url),
	       (unsigned long long)status_poller_number(status, STAT_POLLER_reports_sent),
	       (unsigned long long)status_poller_number(status, STAT_POLLER_reports_failed));
	printf("%s%s\n", error[0] ? ", the last: " : "", safe(error));
}

static void print_source(const struct status *status)
{
	const struct msg_source *source = &status->source;

	if (!status->has_source)
		return;
	printf("\nsource %s: %s, every %u ms: ", words_source_kind(source->kind),
	       safe(source->place), status->summary.config.source.interval_ms);
	printf("%s", status_apply_state(source->state));
	if (source->probation_left_ms)
		printf(", %u ms of its probation left", source->probation_left_ms);
	printf("\n  polls %s%s%s, errors in a row %llu", words_poll_result(source->polled.result),
	       source->polled.why[0] ? ": " : "", safe(source->polled.why),
	       (unsigned long long)status_poller_number(status, STAT_POLLER_errors_in_row));
	if (source->polled.result != POLL_STOPPED)
		printf(", next poll in %llu ms",
		       (unsigned long long)status_poller_number(status, STAT_POLLER_next_poll_ms));
	printf("\n");
	if (source->error[0])
		printf("  %s\n", safe(source->error));
	print_reports(status);
	if (source->kind == SOURCE_SIGNED || source->kind == SOURCE_AGENT)
		print_roles(source);
	print_parts(source);
}

static void print_hits(const struct msg_summary *summary, uint32_t row)
{
	static const uint32_t columns[] = {EVENT_CLOSE, EVENT_UPDATE, EVENT_OPEN, HITS_SAMPLED};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		if (summary->hits_known)
			printf("%12llu",
			       (unsigned long long)summary->hits[row * HITS_COLUMNS + columns[i]]);
		else
			printf("%12s", "-");
}

static void print_filters(const struct msg_summary *summary)
{
	const struct config *config = &summary->config;
	char filter[STATUS_FILTER_MAX];

	if (!config->filter_count)
		return;
	printf("\nfilters: records by the filter that decided, since configuration %u\n"
	       "%12s%12s%12s%12s  FILTER\n",
	       summary->config_version, "CLOSE", "UPDATE", "OPEN", "SAMPLED OUT");
	for (uint32_t i = 0; i < config->filter_count; i++) {
		bool absent = summary->hits_known && config->filters[i].match.by_cgroup &&
			      !summary->cgroups[i];

		print_hits(summary, i);
		status_filter(&config->filters[i], filter);
		printf("  %u %s%s\n", i + 1, safe(filter), absent ? " (no such cgroup now)" : "");
	}
	print_hits(summary, HITS_NONE);
	printf("  - none matched: recorded\n");
}

static void print_numbers(const char *title, const char *const *names, const uint64_t *numbers,
			  uint32_t count)
{
	printf("\n%s\n", title);
	for (uint32_t i = 0; i < count; i++)
		printf("  %-19s %14llu%s", names[i], (unsigned long long)numbers[i],
		       i % 3 == 2 || i + 1 == count ? "\n" : "");
}

static void print_identity(const struct identity *identity)
{
	printf("\naccount: %s\n", identity->holds ? "holds" : "DOES NOT HOLD");
	printf("  connections: opened %llu = live %lld + closed %llu\n",
	       (unsigned long long)identity->opened, (long long)identity->live,
	       (unsigned long long)identity->closed);
	printf("  records: submitted %llu, delivered %llu, waiting %lld; dropped %llu, "
	       "filtered %llu, sampled out %llu\n",
	       (unsigned long long)identity->submitted, (unsigned long long)identity->delivered,
	       (long long)identity->waiting, (unsigned long long)identity->dropped,
	       (unsigned long long)identity->filtered, (unsigned long long)identity->sampled);
}

int status_text_print(const struct status *status)
{
	const struct msg_summary *summary = &status->summary;

	printf("conntrace " VERSION ": %s%s, up %s\n", summary->tracing ? "tracing" : "not tracing",
	       summary->degraded ? ", degraded" : "", since(status, summary->started_ns));
	print_processes(status);
	print_ladder(status);
	print_tracer(&status->tracer);
	print_trouble(&status->trouble);
	print_config(summary);
	print_source(status);
	print_filters(summary);
	print_numbers("counters", status_counters, summary->counters, MSG_COUNTERS);
	print_numbers("ledger", status_ledger, summary->ledger, MSG_LEDGER);
	print_identity(&status->identity);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}
