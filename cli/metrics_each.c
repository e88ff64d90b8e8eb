/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/metrics_each.h"

#include <stdio.h>
#include <sys/utsname.h>

/* The columns of the hits that are records, in the order of their samples. */
static const struct {
	uint32_t column;
	const char *event;
} hit_events[] = {{EVENT_CLOSE, "close"}, {EVENT_UPDATE, "update"}, {EVENT_OPEN, "open"}};

#define HIT_EVENTS (sizeof(hit_events) / sizeof(hit_events[0]))

bool metrics_has_source(const struct status *status)
{
	return status->has_source;
}

bool metrics_has_nat(const struct status *status)
{
	return status->summary.config.nat;
}

bool metrics_one(const struct status *status, uint32_t i, int64_t *number)
{
	(void)status;
	(void)i;
	*number = 1;
	return true;
}

const struct metric_each metrics_single = {.always = 1};

/* --- what traces ------------------------------------------------------------------------------ */

static void label_tracer(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	const struct msg_tracer *tracer = &status->tracer;
	struct utsname host;

	(void)i;
	if (uname(&host) == 0)
		snprintf(labels->room, sizeof(labels->room), "%s", host.release);
	labels->values[0] = VERSION;
	labels->values[1] = labels->room;
	labels->values[2] = tracer->tracer;
	labels->values[3] = tracer->probe_count ? status_instance(tracer->instance) : "";
	labels->values[4] = tracer->btf;
}

const struct metric_each metrics_tracer = {
	.names = {"version", "kernel", "tracer", "instance", "btf"},
	.always = 1,
	.label = label_tracer,
};

bool metrics_uptime(const struct status *status, uint32_t i, int64_t *number)
{
	(void)i;
	*number = (int64_t)status_since_s(status, status->summary.started_ns);
	return true;
}

const struct metric_each metrics_step_result = {
	.names = {"result"},
	.always = STEP_RESULT_COUNT,
	.word = status_step_result,
};

bool metrics_steps(const struct status *status, uint32_t i, int64_t *number)
{
	*number = 0;
	for (uint32_t k = 0; k < status->step_count; k++)
		*number += status->steps[k].result == i;
	return true;
}

static uint32_t count_programs(const struct status *status)
{
	return status->tracer.probe_count;
}

static void label_program(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	labels->values[0] = status->tracer.probes[i].program;
}

const struct metric_each metrics_program = {
	.names = {"program"},
	.count = count_programs,
	.label = label_program,
};

bool metrics_program_attached(const struct status *status, uint32_t i, int64_t *number)
{
	uint32_t state = status->tracer.probes[i].state;

	*number = state == PROBE_ATTACHED;
	return state != PROBE_OFF;
}

static uint32_t count_attempts(const struct status *status)
{
	return status->trouble.outcome_count;
}

static void label_attempt(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	labels->values[0] = status_tracer(status->trouble.outcomes[i].tracer);
	labels->values[1] = status_outcome(status->trouble.outcomes[i].outcome);
}

const struct metric_each metrics_attempt = {
	.names = {"tracer", "outcome"},
	.count = count_attempts,
	.label = label_attempt,
};

bool metrics_attempts(const struct status *status, uint32_t i, int64_t *number)
{
	*number = (int64_t)status->trouble.outcomes[i].count;
	return true;
}

static uint32_t count_refusals(const struct status *status)
{
	return status->trouble.refusal_count;
}

static void label_refusal(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	labels->values[0] = status_telemetry[status->trouble.refusals[i].row];
	labels->values[1] = status_refusal(status->trouble.refusals[i].err);
}

const struct metric_each metrics_refusal = {
	.names = {"what", "errno"},
	.count = count_refusals,
	.label = label_refusal,
};

bool metrics_refusals(const struct status *status, uint32_t i, int64_t *number)
{
	*number = (int64_t)status->trouble.refusals[i].count;
	return true;
}

/* --- processes -------------------------------------------------------------------------------- */

static uint32_t count_processes(const struct status *status)
{
	return status->process_count;
}

static void label_process(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	labels->values[0] = proto_role_name(status->processes[i].told.role);
}

const struct metric_each metrics_process = {
	.names = {"process"},
	.count = count_processes,
	.label = label_process,
};

/* The verifier lives only as long as a check takes: it is never up for long, nor down. */
bool metrics_process_up(const struct status *status, uint32_t i, int64_t *number)
{
	const struct msg_process *told = &status->processes[i].told;

	*number = told->state == LIFE_RUNNING;
	return told->state != LIFE_IDLE && told->role != ROLE_VERIFIER;
}

bool metrics_process_restarts(const struct status *status, uint32_t i, int64_t *number)
{
	*number = status->processes[i].told.restarts;
	return true;
}

bool metrics_process_replaced(const struct status *status, uint32_t i, int64_t *number)
{
	*number = status->processes[i].told.replaced;
	return true;
}

bool metrics_process_uptime(const struct status *status, uint32_t i, int64_t *number)
{
	const struct msg_process *told = &status->processes[i].told;

	*number = (int64_t)status_since_s(status, told->started_ns);
	return told->pid != 0;
}

bool metrics_process_memory(const struct status *status, uint32_t i, int64_t *number)
{
	*number = (int64_t)status->processes[i].facts.rss_kb * 1024;
	return status->processes[i].known;
}

/* --- configuration ---------------------------------------------------------------------------- */

static uint32_t most_connections(const struct config *config)
{
	return config->conn_max;
}

static uint32_t most_flows(const struct config *config)
{
	return config->flow_max;
}

static uint32_t most_translated(const struct config *config)
{
	return config->nat ? config->nat_max : 0;
}

static const struct {
	const char *name;
	uint32_t (*most)(const struct config *config);
} tables[] = {
	{"connections", most_connections},
	{"flows", most_flows},
	{"listed", config_listed_max},
	{"nat", most_translated},
};

static const char *table_name(uint32_t i)
{
	return tables[i].name;
}

const struct metric_each metrics_table = {
	.names = {"table"},
	.always = sizeof(tables) / sizeof(tables[0]),
	.word = table_name,
};

bool metrics_table_most(const struct status *status, uint32_t i, int64_t *number)
{
	*number = tables[i].most(&status->summary.config);
	return true;
}

const struct metric_each metrics_verdict = {
	.names = {"verdict"},
	.always = VERDICT_COUNT,
	.word = status_verdict,
};

/* Behind the filters comes what none of them decided about. */
static uint32_t count_filters(const struct status *status)
{
	return status->summary.hits_known ? status->summary.config.filter_count + 1 : 0;
}

static void label_filter(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	const struct config *config = &status->summary.config;

	if (i == config->filter_count) {
		labels->values[0] = "none";
		labels->values[1] = "none matched: recorded";
		return;
	}
	snprintf(labels->number, sizeof(labels->number), "%u", i + 1);
	status_filter(&config->filters[i], labels->room);
	labels->values[0] = labels->number;
	labels->values[1] = labels->room;
}

const struct metric_each metrics_filter = {
	.names = {"filter", "text"},
	.count = count_filters,
	.label = label_filter,
};

static uint32_t row_of_hits(const struct status *status, uint32_t i)
{
	return i == status->summary.config.filter_count ? HITS_NONE : i;
}

bool metrics_sampled_out(const struct status *status, uint32_t i, int64_t *number)
{
	uint32_t row = row_of_hits(status, i);

	*number = (int64_t)status->summary.hits[row * HITS_COLUMNS + HITS_SAMPLED];
	return true;
}

static uint32_t count_filter_events(const struct status *status)
{
	return count_filters(status) * HIT_EVENTS;
}

static void label_filter_event(const struct status *status, uint32_t i,
			       struct metric_labels *labels)
{
	label_filter(status, i / HIT_EVENTS, labels);
	labels->values[2] = hit_events[i % HIT_EVENTS].event;
}

const struct metric_each metrics_filter_event = {
	.names = {"filter", "text", "event"},
	.count = count_filter_events,
	.label = label_filter_event,
};

bool metrics_hits(const struct status *status, uint32_t i, int64_t *number)
{
	uint32_t row = row_of_hits(status, i / HIT_EVENTS);
	uint32_t column = hit_events[i % HIT_EVENTS].column;

	*number = (int64_t)status->summary.hits[row * HITS_COLUMNS + column];
	return true;
}
