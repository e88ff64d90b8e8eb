/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace status: ask, gather, look into /proc, print. */
#include "cli/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/client.h"
#include "common/loop.h"

#define ANSWER_WAIT_MS 5000
#define LOOKS          4 /* at an account that doesn't hold because its numbers moved */
#define LOOK_AGAIN_US  50000

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
	client_refused(status->command, &msg->done);
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

static int gather(struct status *status, const char *socket)
{
	static struct client client;
	struct timespec clock;
	int next = 1, err;

	err = client_open(&client, socket, ASK_STATUS);
	if (err) {
		client_explain(&client, err);
		return CLI_NO_DAEMON;
	}
	while (next == 1 && !status->complete && !status->refused)
		next = client_next(&client, &table, status, ANSWER_WAIT_MS);
	client_close(&client);
	if (status->refused)
		return CLI_NO_DAEMON;
	if (next == 1) {
		status->now_ns = loop_now_ns();
		clock_gettime(CLOCK_REALTIME, &clock);
		status->clock_ms =
			(uint64_t)clock.tv_sec * 1000 + (uint64_t)clock.tv_nsec / 1000000;
		identity_of(&status->summary, &status->identity);
		return 0;
	}
	fprintf(stderr, "conntrace: %s: %s\n", status->command,
		next == 0 ? "conntraced closed the connection: only root, its own user and its "
			    "group may ask, or it is ending"
		: next == -EAGAIN ? "conntraced does not answer: see its log"
				  : strerror(-next));
	return CLI_NO_DAEMON;
}

int status_ask(struct status *status, const char *command, const char *socket)
{
	int code = 0;

	for (int i = 0; i < LOOKS; i++) {
		memset(status, 0, sizeof(*status));
		status->command = command;
		code = gather(status, socket);
		if (code || status->identity.holds)
			break;
		usleep(LOOK_AGAIN_US);
	}
	return code;
}

int cli_status(const struct cli_options *options)
{
	static struct status status;
	int code = status_ask(&status, "status", options->socket), err;

	if (code)
		return code;
	err = options->json ? status_json_print(&status) : status_text_print(&status);
	if (err)
		fprintf(stderr, "conntrace: status: standard output: %s\n", strerror(-err));
	return err || !status.summary.tracing ? CLI_FAILED : CLI_OK;
}
