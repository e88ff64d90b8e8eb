/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/status.h"
#include "common/put.h"
#include "common/source_json.h"

#define JSON_MAX 262144u

static void put_facts(struct jsonbuf *json, const struct process_facts *facts)
{
	char key[32];

	put_number(json, "uid", facts->uid);
	for (int set = 0; set < PROCESS_SET_COUNT; set++) {
		snprintf(key, sizeof(key), "cap_%s", process_set_name((enum process_set)set));
		put_caps(json, key, facts->caps[set]);
	}
	put_flag(json, "no_new_privs", facts->no_new_privs);
	put_number(json, "seccomp", facts->seccomp);
	put_number(json, "rss_kb", facts->rss_kb);
}

/* The same keys for a process that isn't running. */
static void put_no_facts(struct jsonbuf *json)
{
	static const char *const keys[] = {
		"uid",          "cap_permitted", "cap_effective", "cap_inheritable", "cap_ambient",
		"cap_bounding", "no_new_privs",  "seccomp",       "rss_kb"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		jsonbuf_key(json, keys[i]);
		jsonbuf_null(json);
	}
}

static void put_process(struct jsonbuf *json, const struct status *status,
			const struct status_process *process)
{
	const struct msg_process *told = &process->told;

	jsonbuf_open(json, '{');
	put_text(json, "name", proto_role_name(told->role));
	jsonbuf_key(json, "pid");
	if (told->pid)
		jsonbuf_u64(json, told->pid);
	else
		jsonbuf_null(json);
	put_text(json, "state", status_life_state(told->state));
	if (process->known)
		put_facts(json, &process->facts);
	else
		put_no_facts(json);
	put_number(json, "restarts", told->restarts);
	put_number(json, "replaced", told->replaced);
	put_number(json, "uptime_s", told->pid ? status_since_s(status, told->started_ns) : 0);
	put_text(json, "last", told->last);
	put_text(json, "last_words", told->words);
	jsonbuf_key(json, "stats");
	jsonbuf_open(json, '{');
	for (uint32_t i = 0; i < told->stats.count; i++)
		if (stats_name(told->role, i))
			put_number(json, stats_name(told->role, i), told->stats.values[i]);
	jsonbuf_close(json, '}');
	jsonbuf_close(json, '}');
}

static void put_step(struct jsonbuf *json, const struct msg_step *step)
{
	jsonbuf_open(json, '{');
	put_text(json, "tracer", step->tracer);
	put_text(json, "step", step->name);
	put_text(json, "result", status_step_result(step->result));
	put_number(json, "duration_us", step->duration_us);
	put_text(json, "detail", step->detail);
	jsonbuf_close(json, '}');
}

static void put_probe(struct jsonbuf *json, const struct msg_probe *probe, const char *tracer)
{
	jsonbuf_open(json, '{');
	put_text(json, "name", probe->program);
	put_text(json, "tracer", tracer);
	put_text(json, "hook", probe->hook);
	put_text(json, "how", probe->how);
	put_flag(json, "required", probe->required);
	put_text(json, "state", status_probe_state(probe->state));
	put_number(json, "errno", probe->err);
	put_number(json, "verified_insns", probe->verified_insns);
	put_number(json, "missed", probe->missed);
	put_text(json, "note", probe->note);
	jsonbuf_close(json, '}');
}

static void put_tracer(struct jsonbuf *json, const struct msg_tracer *tracer)
{
	bool known = tracer->probe_count > 0;

	put_text(json, "tracer", tracer->tracer);
	jsonbuf_key(json, "instance");
	jsonbuf_open(json, '{');
	put_text(json, "type", known ? status_instance(tracer->instance) : "");
	put_text(json, "evidence", tracer->evidence);
	put_flag(json, "tenants_only", tracer->tenants_only);
	jsonbuf_close(json, '}');
	put_text(json, "btf", tracer->btf);
	jsonbuf_key(json, "probes");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < tracer->probe_count; i++)
		put_probe(json, &tracer->probes[i], tracer->tracer);
	jsonbuf_close(json, ']');
}

static void put_trouble(struct jsonbuf *json, const struct msg_trouble *trouble)
{
	jsonbuf_key(json, "attempts");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < trouble->outcome_count; i++) {
		jsonbuf_open(json, '{');
		put_text(json, "tracer", status_tracer(trouble->outcomes[i].tracer));
		put_text(json, "outcome", status_outcome(trouble->outcomes[i].outcome));
		put_number(json, "count", trouble->outcomes[i].count);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
	jsonbuf_key(json, "telemetry");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < trouble->refusal_count; i++) {
		jsonbuf_open(json, '{');
		put_text(json, "what", status_telemetry[trouble->refusals[i].row]);
		put_text(json, "errno", status_refusal(trouble->refusals[i].err));
		put_number(json, "count", trouble->refusals[i].count);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

static void put_families(struct jsonbuf *json, uint32_t families)
{
	jsonbuf_key(json, "families");
	jsonbuf_open(json, '[');
	if (families & FAMILY_IPV4)
		jsonbuf_u64(json, 4);
	if (families & FAMILY_IPV6)
		jsonbuf_u64(json, 6);
	jsonbuf_close(json, ']');
}

/* null: not known yet, or not to be had. */
static void put_if(struct jsonbuf *json, const char *key, bool known, uint64_t number)
{
	if (known) {
		put_number(json, key, number);
		return;
	}
	jsonbuf_key(json, key);
	jsonbuf_null(json);
}

static void put_hits(struct jsonbuf *json, const struct msg_summary *summary, uint32_t row)
{
	const uint64_t *hits = &summary->hits[row * HITS_COLUMNS];

	put_if(json, "close", summary->hits_known, hits[EVENT_CLOSE]);
	put_if(json, "update", summary->hits_known, hits[EVENT_UPDATE]);
	put_if(json, "open", summary->hits_known, hits[EVENT_OPEN]);
	put_if(json, "sampled_out", summary->hits_known, hits[HITS_SAMPLED]);
}

static void put_filters(struct jsonbuf *json, const struct msg_summary *summary)
{
	const struct config *config = &summary->config;
	char filter[STATUS_FILTER_MAX];

	jsonbuf_key(json, "filters");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < config->filter_count; i++) {
		status_filter(&config->filters[i], filter);
		jsonbuf_open(json, '{');
		put_text(json, "filter", filter);
		put_if(json, "cgroup_id", summary->cgroups[i] != 0, summary->cgroups[i]);
		put_hits(json, summary, i);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
	jsonbuf_key(json, "no_filter");
	jsonbuf_open(json, '{');
	put_hits(json, summary, HITS_NONE);
	jsonbuf_close(json, '}');
}

static void put_config(struct jsonbuf *json, const struct msg_summary *summary)
{
	const struct config *config = &summary->config;

	jsonbuf_key(json, "config");
	jsonbuf_open(json, '{');
	put_number(json, "version", summary->config_version);
	put_flag(json, "applied", summary->config_verdict < VERDICT_REFUSED);
	put_text(json, "verdict", summary->config_reason);
	put_text(json, "tracer", status_tracer(config->tracer));
	put_text(json, "instance", status_instance(config->instance));
	put_text(json, "btf_path", config->btf_path);
	put_number(json, "snapshot_interval_ms", config->snapshot_interval_ms);
	put_families(json, config->families);
	put_filters(json, summary);
	put_flag(json, "record_open", config->record_open);
	put_number(json, "memory_budget", config->memory_budget);
	put_number(json, "ring_bytes", config->ring_bytes);
	put_number(json, "conn_max", config->conn_max);
	put_number(json, "flow_max", config->flow_max);
	put_number(json, "live_max", config_listed_max(config));
	put_flag(json, "nat", config->nat);
	put_number(json, "nat_max", config->nat ? config->nat_max : 0);
	put_text(json, "output_path", config->output_path);
	put_text(json, "output_format", status_format(config->output_format));
	put_text(json, "source_dir", config->source.dir);
	put_number(json, "poll_interval_ms", config->source.interval_ms);
	put_number(json, "probation_ms", config->probation_ms);
	jsonbuf_close(json, '}');
}

/* null: there is no source. */
static void put_source(struct jsonbuf *json, const struct status *status)
{
	const struct msg_source *source = &status->source;
	const struct config_source *config = &status->summary.config.source;

	jsonbuf_key(json, "source");
	if (!status->has_source) {
		jsonbuf_null(json);
		return;
	}
	jsonbuf_open(json, '{');
	source_json_put(json, config->host, source,
			status_poller_number(status, STAT_POLLER_errors_in_row),
			status_poller_number(status, STAT_POLLER_next_poll_ms));
	put_text(json, "report_url", config->report);
	put_number(json, "reports_sent", status_poller_number(status, STAT_POLLER_reports_sent));
	put_number(json, "reports_failed",
		   status_poller_number(status, STAT_POLLER_reports_failed));
	put_text(json, "report_error", source->polled.report_error);
	jsonbuf_close(json, '}');
}

static void put_numbers(struct jsonbuf *json, const char *key, const char *const *names,
			const uint64_t *numbers, uint32_t count)
{
	jsonbuf_key(json, key);
	jsonbuf_open(json, '{');
	for (uint32_t i = 0; i < count; i++)
		put_number(json, names[i], numbers[i]);
	jsonbuf_close(json, '}');
}

static void put_identity(struct jsonbuf *json, const struct identity *identity)
{
	jsonbuf_key(json, "identity");
	jsonbuf_open(json, '{');
	put_number(json, "opened", identity->opened);
	jsonbuf_key(json, "live");
	jsonbuf_i64(json, identity->live);
	put_number(json, "closed", identity->closed);
	put_number(json, "submitted", identity->submitted);
	put_number(json, "delivered", identity->delivered);
	put_number(json, "dropped", identity->dropped);
	put_number(json, "filtered", identity->filtered);
	put_number(json, "sampled", identity->sampled);
	jsonbuf_key(json, "waiting");
	jsonbuf_i64(json, identity->waiting);
	put_flag(json, "holds", identity->holds);
	jsonbuf_close(json, '}');
}

static void put_lists(struct jsonbuf *json, const struct status *status)
{
	jsonbuf_key(json, "processes");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < status->process_count; i++)
		put_process(json, status, &status->processes[i]);
	jsonbuf_close(json, ']');
	jsonbuf_key(json, "ladder");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < status->step_count; i++)
		put_step(json, &status->steps[i]);
	jsonbuf_close(json, ']');
}

int status_json_print(const struct status *status)
{
	static char text[JSON_MAX];
	const struct msg_summary *summary = &status->summary;
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	put_flag(&json, "tracing", summary->tracing);
	put_flag(&json, "degraded", summary->degraded);
	put_text(&json, "version", VERSION);
	put_number(&json, "uptime_s", status_since_s(status, summary->started_ns));
	put_lists(&json, status);
	put_tracer(&json, &status->tracer);
	put_trouble(&json, &status->trouble);
	put_config(&json, summary);
	put_source(&json, status);
	put_numbers(&json, "counters", status_counters, summary->counters, MSG_COUNTERS);
	put_numbers(&json, "ledger", status_ledger, summary->ledger, MSG_LEDGER);
	put_identity(&json, &status->identity);
	jsonbuf_close(&json, '}');
	jsonbuf_newline(&json);
	if (json.full)
		return -EMSGSIZE;
	return fwrite(text, 1, json.len, stdout) == json.len && fflush(stdout) == 0 ? 0 : -EIO;
}
