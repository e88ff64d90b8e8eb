/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/upgrade_ask.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/client.h"
#include "common/log.h"
#include "common/loop.h"

/* A trial, the end of the children and a start, each at its longest. */
#define WAIT_MS   120000u
#define ANSWER_MS 5000
#define PAUSE_NS  100000000

/* What matters of a status. */
struct look {
	pid_t pid; /* of the process that listens */
	uint64_t started_ns;
	char last[MSG_TEXT_MAX];
	bool tracing;
	bool done;
};

static struct client client;

static int on_process(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct look *look = ctx;

	(void)fds;
	if (msg->process.role != ROLE_SUPERVISOR)
		return 0;
	look->started_ns = msg->process.started_ns;
	memcpy(look->last, msg->process.last, sizeof(look->last));
	return 0;
}

static int on_summary(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct look *look = ctx;

	(void)fds;
	look->tracing = msg->summary.tracing;
	look->done = true;
	return 0;
}

/* Instead of a status: there is none yet, or we may not ask. */
static int on_done(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct look *look = ctx;

	(void)fds;
	memcpy(look->last, msg->done.reason, sizeof(look->last));
	look->done = true;
	return 0;
}

static const struct dispatch_table table = {
	.self = ROLE_CLI,
	.handlers = {[MSG_PROCESS] = on_process,
		     [MSG_LADDER] = dispatch_ignore,
		     [MSG_PROBES] = dispatch_ignore,
		     [MSG_TROUBLE] = dispatch_ignore,
		     [MSG_SOURCE] = dispatch_ignore,
		     [MSG_SUMMARY] = on_summary,
		     [MSG_DONE] = on_done},
};

/* Ask for the status. started_ns stays 0 if there is none. Returns 0 or a negative errno. */
static int take_look(const char *socket, struct look *look)
{
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	int err = client_open(&client, socket, ASK_STATUS);

	*look = (struct look){0};
	if (err)
		return err;
	if (getsockopt(client.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		err = -errno;
	look->pid = cred.pid;
	while (!err && !look->done) {
		int got = client_next(&client, &table, look, ANSWER_MS);

		err = got > 0 ? 0 : got ? got : -ECONNRESET;
	}
	client_close(&client);
	return err;
}

static int wait_for_it(const char *socket, const struct look *before)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	uint64_t deadline_ms = loop_now_ms() + WAIT_MS;
	char why[4 * MSG_TEXT_MAX];
	struct look now;

	while (loop_now_ms() < deadline_ms) {
		int err;

		(void)nanosleep(&pause, NULL);
		if (kill(before->pid, 0) < 0 && errno == ESRCH) {
			fputs("conntraced: it ended: see its log\n", stderr);
			return EX_UNAVAILABLE;
		}
		/* It does not answer while one is executed in the other's stead. */
		err = take_look(socket, &now);
		if (err || !now.started_ns)
			continue;
		if (now.started_ns != before->started_ns && now.tracing) {
			printf("conntraced %d: upgraded, tracing\n", (int)now.pid);
			return EX_OK;
		}
		if (now.started_ns == before->started_ns && strcmp(now.last, before->last) != 0) {
			log_escape(now.last, why, sizeof(why));
			fprintf(stderr, "conntraced %d: %s\n", (int)now.pid, why);
			return EX_SOFTWARE;
		}
	}
	fprintf(stderr, "conntraced %d: no answer within %u s: see its log\n", (int)before->pid,
		WAIT_MS / 1000);
	return EX_TEMPFAIL;
}

int upgrade_ask(const char *socket)
{
	char why[4 * MSG_TEXT_MAX];
	struct look before;
	int err = take_look(socket, &before);

	if (err) {
		client_explain(&client, err);
		return EX_UNAVAILABLE;
	}
	if (!before.started_ns) {
		log_escape(before.last, why, sizeof(why));
		fprintf(stderr, "conntraced %d: %s\n", (int)before.pid, why);
		return EX_UNAVAILABLE;
	}
	if (before.pid <= 0 || kill(before.pid, SIGUSR2) < 0) {
		err = before.pid <= 0 ? ESRCH : errno;
		fprintf(stderr, "conntraced %d: can't be signalled: %s: %s\n", (int)before.pid,
			strerror(err),
			err == EPERM ? "be root, or the user it runs as"
				     : "it is in another pid namespace: send it SIGUSR2 there");
		return err == EPERM ? EX_NOPERM : EX_UNAVAILABLE;
	}
	return wait_for_it(socket, &before);
}
