/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to "status", gathered, and its ways onto paper: cli/metrics.h has the third. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/identity.h"
#include "cli/process.h"
#include "common/msg.h"

#define STATUS_PROCESSES_MAX 16u
#define STATUS_STEPS_MAX     64u
#define STATUS_NAMES_MAX     1024u
#define STATUS_FILTER_MAX    (CONFIG_PATH_MAX + 128u)

struct status_process {
	struct msg_process told;    /* by the supervisor */
	struct process_facts facts; /* by the kernel */
	bool known;                 /* facts could be read */
};

struct status {
	const char *command; /* for whom it is gathered */
	struct status_process processes[STATUS_PROCESSES_MAX];
	uint32_t process_count;
	struct msg_step steps[STATUS_STEPS_MAX];
	uint32_t step_count;
	struct msg_tracer tracer; /* no probes: nothing was loaded yet */
	struct msg_trouble trouble;
	bool has_source;
	struct msg_source source;
	bool complete; /* the summary came */
	bool refused;  /* and will not come; why is told */
	struct msg_summary summary;
	struct identity identity;
	uint64_t now_ns;   /* CLOCK_MONOTONIC */
	uint64_t clock_ms; /* CLOCK_REALTIME */
};

/*
 * Ask conntraced; again, if its account does not hold because its numbers move. command: what the
 * user called, for messages. Returns 0, or an exit code after telling standard error why.
 */
int status_ask(struct status *status, const char *command, const char *socket);

/* Print to standard output. Return 0, or a negative errno if it can't be written. */
int status_text_print(const struct status *status);
int status_json_print(const struct status *status);

/* Words for numbers of messages; "unknown" for one that has none. */
const char *status_step_result(uint32_t result);
const char *status_format(uint32_t format);
const char *status_tracer(uint32_t tracer);
const char *status_instance(uint32_t instance);
const char *status_outcome(uint32_t outcome);
const char *status_probe_state(uint32_t state);
const char *status_verdict(uint32_t verdict);
const char *status_apply_state(uint32_t state);
const char *status_life_state(uint32_t state);

/* "ENOMEM"; "other" for the last of the errnos that telemetry tells apart, "" for 0. */
const char *status_refusal(uint32_t err);

/* A number that a child reports (STAT_ of common/stats.h). False as long as it has not. */
bool status_number(const struct status *status, enum role role, uint32_t index, uint64_t *number);

/* Likewise the poller, 0 as long as it has not. */
uint64_t status_poller_number(const struct status *status, uint32_t index);

/* Seconds since a CLOCK_MONOTONIC time, 0 for time 0. */
uint64_t status_since_s(const struct status *status, uint64_t started_ns);

/*
 * A filter in words, as in "include 10.0.0.0/8 port 80-90 protocol tcp cgroup /a.slice sample 10";
 * the path is not escaped. out has STATUS_FILTER_MAX bytes.
 */
void status_filter(const struct config_filter *filter, char *out);

/* The names of COUNTERS, LEDGER and TELEMETRY, in their order. */
extern const char *const status_telemetry[TELEMETRY_ROWS];
extern const char *const status_counters[MSG_COUNTERS];
extern const char *const status_ledger[MSG_LEDGER];

#endif
