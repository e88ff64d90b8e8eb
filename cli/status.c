/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace status: ask, gather, look into /proc, print. */
#include "cli/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "common/loop.h"

#define ANSWER_WAIT_MS 5000
#define LOOKS          4 /* at an account that doesn't hold because its numbers moved */
#define LOOK_AGAIN_US  50000

#define NAME(name, meaning) #name,
const char *const status_counters[MSG_COUNTERS] = {COUNTERS(NAME)};
const char *const status_ledger[MSG_LEDGER] = {LEDGER(NAME)};
const char *const status_telemetry[TELEMETRY_ROWS] = {TELEMETRY(NAME)};
#undef NAME

static int on_process(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;
	struct status_process *process;

	(void)fds;
	if (status->process_count == STATUS_PROCESSES_MAX)
		return -EPROTO;
	process = &status->processes[status->process_count++];
	process->told = msg->process;
	process->known = process->told.pid && process_read(process->told.pid, &process->facts) == 0;
	return 0;
}

static int on_step(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	if (status->step_count == STATUS_STEPS_MAX)
		return -EPROTO;
	status->steps[status->step_count++] = msg->step;
	return 0;
}

static int on_probes(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	status->tracer = msg->tracer;
	return 0;
}

static int on_trouble(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	status->trouble = msg->trouble;
	return 0;
}

static int on_source(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	status->source = msg->source;
	status->has_source = true;
	return 0;
}

static int on_summary(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	status->summary = msg->summary;
	status->complete = true;
	return 0;
}

static int on_done(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct status *status = ctx;

	(void)fds;
	status->refused = true;
	client_refused("status", &msg->done);
	return 0;
}

static const struct dispatch_table table = {
	.self = ROLE_CLI,
	.handlers =
		{
			[MSG_DONE] = on_done,
			[MSG_PROCESS] = on_process,
			[MSG_LADDER] = on_step,
			[MSG_PROBES] = on_probes,
			[MSG_TROUBLE] = on_trouble,
			[MSG_SOURCE] = on_source,
			[MSG_SUMMARY] = on_summary,
		},
};

const char *status_step_result(uint32_t result)
{
	static const char *const names[STEP_RESULT_COUNT] = {
		[STEP_OK] = "ok",           [STEP_DEGRADED] = "degraded",
		[STEP_SKIPPED] = "skipped", [STEP_NOT_SUPPORTED] = "not_supported",
		[STEP_FAILED] = "failed",
	};

	return result < STEP_RESULT_COUNT ? names[result] : "unknown";
}

const char *status_format(uint32_t format)
{
	return format < FORMAT_COUNT ? config_formats[format] : "unknown";
}

const char *status_tracer(uint32_t tracer)
{
	return tracer < TRACER_COUNT ? config_tracers[tracer] : "unknown";
}

const char *status_instance(uint32_t instance)
{
	return instance < INSTANCE_COUNT ? config_instances[instance] : "unknown";
}

const char *status_outcome(uint32_t outcome)
{
#define NAME(name, meaning) #name,
	static const char *const names[] = {OUTCOMES(NAME)};
#undef NAME

	return outcome < OUTCOME_COUNT ? names[outcome] : "unknown";
}

const char *status_probe_state(uint32_t state)
{
	static const char *const names[PROBE_STATE_COUNT] = {
		[PROBE_OFF] = "off",         [PROBE_MISSING] = "missing",
		[PROBE_PLANNED] = "planned", [PROBE_ATTACHED] = "attached",
		[PROBE_FAILED] = "failed",
	};

	return state < PROBE_STATE_COUNT ? names[state] : "unknown";
}

const char *status_verdict(uint32_t verdict)
{
#define WORDS(name, words) words,
	static const char *const all[] = {VERDICTS(WORDS)};
#undef WORDS

	return verdict < VERDICT_COUNT ? all[verdict] : "unknown";
}

const char *status_apply_state(uint32_t state)
{
	static const char *const names[APPLY_STATE_COUNT] = {
		[APPLY_UNKNOWN] = "unknown",
		[APPLY_UNACKNOWLEDGED] = "unacknowledged",
		[APPLY_ACKNOWLEDGED] = "acknowledged",
		[APPLY_ERROR] = "error",
	};

	return state < APPLY_STATE_COUNT ? names[state] : "unknown";
}

uint64_t status_poller_number(const struct status *status, uint32_t index)
{
	for (uint32_t i = 0; i < status->process_count; i++) {
		const struct msg_process *told = &status->processes[i].told;

		if (told->role == ROLE_POLLER && index < told->stats.count)
			return told->stats.values[index];
	}
	return 0;
}

const char *status_refusal(uint32_t err)
{
	const char *name = err < TELEMETRY_ERRNOS - 1 ? strerrorname_np((int)err) : NULL;

	if (!err)
		return "";
	return name ? name : "other";
}

uint64_t status_since_s(const struct status *status, uint64_t started_ns)
{
	if (!started_ns || status->now_ns < started_ns)
		return 0;
	return (status->now_ns - started_ns) / 1000000000u;
}

/* Returns 0, or an exit code after telling why. */
static int gather(struct status *status, const struct cli_options *options)
{
	static struct client client;
	int next = 1, err;

	memset(status, 0, sizeof(*status));
	err = client_open(&client, options->socket, ASK_STATUS);
	if (err)
		return client_explain(&client, err);
	while (next == 1 && !status->complete && !status->refused)
		next = client_next(&client, &table, status, ANSWER_WAIT_MS);
	client_close(&client);
	if (status->refused)
		return CLI_NO_DAEMON;
	if (next == 1) {
		status->now_ns = loop_now_ns();
		identity_of(&status->summary, &status->identity);
		return 0;
	}
	if (next == 0)
		fprintf(stderr, "conntrace: status: conntraced closed the connection: only root, "
				"its own user and its group may ask, or it is ending\n");
	else
		fprintf(stderr, "conntrace: status: %s\n",
			next == -EAGAIN ? "conntraced does not answer: see its log"
					: strerror(-next));
	return CLI_NO_DAEMON;
}

int cli_status(const struct cli_options *options)
{
	static struct status status;
	int code = 0, err;

	for (int i = 0; i < LOOKS; i++) {
		code = gather(&status, options);
		if (code || status.identity.holds)
			break;
		usleep(LOOK_AGAIN_US);
	}
	if (code)
		return code;
	err = options->json ? status_json_print(&status) : status_text_print(&status);
	if (err)
		fprintf(stderr, "conntrace: status: standard output: %s\n", strerror(-err));
	return err || !status.summary.tracing ? CLI_FAILED : CLI_OK;
}
