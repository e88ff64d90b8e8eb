/* SPDX-License-Identifier: Apache-2.0 */
#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/seccomp.h"

/* The most fds a child has open: its channel, the epoll, what START brings, clients. */
#define FDS_MAX      256
#define SEND_WAIT_MS 1000

static const char *const names[ROLE_COUNT] = {
	[ROLE_LOADER] = "conntrace-loader",
	[ROLE_EXPORTER] = "conntrace-exporter",
	[ROLE_POLLER] = "conntrace-poller",
	[ROLE_VERIFIER] = "conntrace-verifier",
};

#if defined(__SANITIZE_ADDRESS__)
/* The environment is cleared, and the leak check wants /proc and ptrace, which no sandbox gives. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static void open_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(EX_OSERR);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* not for KILL, STOP and libc's own */
	(void)signal(SIGPIPE, SIG_IGN);
	/* A terminal and a service manager signal the whole group: the order to stop is the closed
	   channel, so that what is under way is finished. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int limit(int resource, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

static int harden(void)
{
	int err;

	open_standard_fds();
	if (close_range(PROTO_CHILD_FD + 1, ~0u, 0) < 0)
		return -errno;
	reset_signals();
	umask(077);
	err = limit(RLIMIT_CORE, 0);
	if (!err)
		err = limit(RLIMIT_NOFILE, FDS_MAX);
	if (err)
		return err;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Only a supervisor starts us: the channel is a unix seqpacket socket, or there is no one to tell.
 */
static void require_channel(const char *name)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(PROTO_CHILD_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	    type == SOCK_SEQPACKET)
		return;
	fprintf(stderr, "%s: not to be started by hand: conntraced starts it\n", name);
	exit(EX_USAGE);
}

static void on_channel(void *ctx, uint32_t events)
{
	struct child *child = ctx;
	struct dispatch_error error;
	struct dispatch_fds fds;
	int len;

	(void)events;
	len = chan_recv(child->channel, child->frame, sizeof(child->frame), fds.fds, &fds.count);
	if (len == -EAGAIN)
		return;
	if (len == 0) {
		if (child->on_stop)
			child->on_stop(child->ctx);
		(void)child_send(child, MSG_BYE, &(struct msg_bye){0}, NULL, 0);
		child->loop.stop = true;
		return;
	}
	if (len < 0) {
		child_fail(child, 0, EX_PROTOCOL, "channel: %s", strerror(-len));
		return;
	}
	if (dispatch_frame(child->table, ROLE_SUPERVISOR, child->phase, child->frame, (size_t)len,
			   &fds, &child->room, child->ctx, &error) < 0 &&
	    !child->loop.stop)
		child_fail(child, 0, EX_PROTOCOL, "channel: message %llu: %s",
			   (unsigned long long)error.type, error.reason);
}

static int start_talking(struct child *child)
{
	struct msg_hello hello = {
		.role = child->role, .pid = (uint32_t)getpid(), .version = PROTO_VERSION};
	int err = loop_init(&child->loop);

	if (!err)
		err = loop_add(&child->loop, child->channel, EPOLLIN, on_channel, child);
	if (!err)
		err = child_send(child, MSG_HELLO, &hello, NULL, 0);
	if (!err)
		child->phase = PHASE_READY;
	return err;
}

int child_init(struct child *child, enum role role, const struct dispatch_table *table, void *ctx,
	       uint64_t allowed_caps)
{
	const bool log_only = getenv(SECCOMP_LOG_VARIABLE);
	char why[1200];
	int err;

	memset(child, 0, sizeof(*child));
	child->role = role;
	child->table = table;
	child->ctx = ctx;
	child->channel = PROTO_CHILD_FD;
	log_init(names[role], LOG_LEVEL_INFO);
	require_channel(names[role]);
	clearenv();
	err = harden();
	if (err) {
		child_fail(child, 0, EX_OSERR, "can't harden itself: %s", strerror(-err));
		return err;
	}
	err = privs_check(allowed_caps, why, sizeof(why));
	if (err) {
		child_fail(child, 1, EX_NOPERM, "%s: start it by conntraced, and no setuid bit",
			   why);
		return err;
	}
	if (log_only && seccomp_log_only() < 0) {
		child_fail(child, 1, EX_USAGE,
			   "is of a release build: it can't only log what is "
			   "forbidden");
		return -EPERM;
	}
	err = start_talking(child);
	if (err)
		child_fail(child, 0, EX_OSERR, "start: %s", strerror(-err));
	return err;
}

int child_send(struct child *child, enum msg_type type, const void *msg, const int *fds,
	       uint32_t fd_count)
{
	static uint8_t frame[PROTO_FRAME_MAX];
	int len = msg_pack(type, msg, frame, sizeof(frame));

	if (len < 0)
		return len;
	return chan_send(child->channel, frame, (size_t)len, fds, fd_count, SEND_WAIT_MS);
}

static void on_health(void *ctx, uint32_t events)
{
	struct child *child = ctx;
	struct msg_health health = {.count = child->health_count++};
	struct msg_stats stats = {.count = 0};

	(void)events;
	/* One that finds no room is missed, and five missed ones are what the limit is for. */
	(void)child_send(child, MSG_HEALTH, &health, NULL, 0);
	if (!child->on_stats)
		return;
	child->on_stats(child->ctx, &stats);
	(void)child_send(child, MSG_STATS, &stats, NULL, 0);
}

struct health_timer {
	struct child *child;
	int fd;
};

static void on_health_timer(void *ctx, uint32_t events)
{
	struct health_timer *timer = ctx;

	if (loop_timer_ack(timer->fd))
		on_health(timer->child, events);
}

int child_ready(struct child *child)
{
	static struct health_timer timer;
	int err = child_send(child, MSG_READY, &(struct msg_ready){0}, NULL, 0);

	if (err)
		return err;
	child->phase = PHASE_RUNNING;
	timer.child = child;
	timer.fd = loop_timer(&child->loop, 1, CHILD_HEALTH_MS, on_health_timer, &timer);
	return timer.fd < 0 ? timer.fd : 0;
}

bool child_breathe(struct child *child)
{
	int err = child->loop.stop ? 0 : loop_run_due(&child->loop);

	if (err)
		child_fail(child, 0, EX_OSERR, "event loop: %s", strerror(-err));
	return !child->loop.stop;
}

int child_run(struct child *child)
{
	int err = child->loop.stop ? 0 : loop_run(&child->loop);

	if (err)
		child_fail(child, 0, EX_OSERR, "event loop: %s", strerror(-err));
	return child->exit_code;
}

void child_fail(struct child *child, int permanent, int exit_code, const char *format, ...)
{
	struct msg_fail fail = {.permanent = permanent ? 1 : 0, .exit_code = (uint32_t)exit_code};
	va_list args;

	va_start(args, format);
	vsnprintf(fail.reason, sizeof(fail.reason), format, args);
	va_end(args);
	log_error("%s", fail.reason);
	/* If the channel is gone the log has it. */
	(void)child_send(child, MSG_FAIL, &fail, NULL, 0);
	child->exit_code = exit_code;
	child->loop.stop = true;
}
