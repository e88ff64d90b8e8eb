/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/children.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/child.h"
#include "common/instance_env.h"
#include "common/log.h"
#include "common/spawn.h"
#include "supervisor/configure.h"
#include "supervisor/custody.h"
#include "supervisor/last_words.h"
#include "supervisor/messages.h"
#include "supervisor/rollout.h"
#include "supervisor/upgrade.h"

/* Loading programs on a slow machine takes a while; the others are there at once. */
static const struct life_times loader_times = {5000, 60000, CHILD_SILENCE_MS, 5000};
static const struct life_times other_times = {5000, 10000, CHILD_SILENCE_MS, 5000};

/* The loader tells from these what kind of instance this is. */
static const char *const loader_variables[] = {
#define X(name) #name,
	INSTANCE_VARIABLES(X)
#undef X
		NULL,
};
_Static_assert(INSTANCE_ENV_COUNT <= SPAWN_VARIABLES_MAX, "children: the loader's environment");

static const struct {
	const char *program; /* NULL = not a child */
	const struct life_times *times;
	const char *const *variables; /* of our environment that it gets */
} kinds[ROLE_COUNT] = {
	[ROLE_LOADER] = {"conntrace-loader", &loader_times, loader_variables},
	[ROLE_EXPORTER] = {"conntrace-exporter", &other_times, NULL},
	[ROLE_POLLER] = {"conntrace-poller", &other_times, NULL},
	[ROLE_VERIFIER] = {"conntrace-verifier", &other_times, NULL},
};

/* Messages taken from a dead child's channel before it is closed: its last words. */
#define LAST_WORDS_MAX 64

static void stop_next(struct supervisor *sup);

void children_reason(struct proc *proc, const char *format, ...)
{
	va_list args;

	if (proc->reason[0])
		return;
	va_start(args, format);
	vsnprintf(proc->reason, sizeof(proc->reason), format, args);
	va_end(args);
}

static void close_channel(struct proc *proc)
{
	if (proc->channel < 0)
		return;
	loop_remove(&proc->sup->loop, proc->channel);
	close(proc->channel);
	proc->channel = -1;
}

/* A child broke the rules of its channel: say which, close it, end the child. */
static void violation(struct proc *proc, const char *what, uint64_t type)
{
	const struct proto_row *row = proto_row(type);

	children_reason(proc, "channel closed: message %s: %s", row ? row->name : "?", what);
	log_error("%s (pid %d): %s", proto_role_name(proc->role), (int)proc->pid, proc->reason);
	close_channel(proc);
	children_event(proc, LIFE_BROKEN);
}

/* Take one message. Returns false when there is none left to take. */
static bool take_message(struct proc *proc)
{
	struct supervisor *sup = proc->sup;
	struct dispatch_error error;
	struct dispatch_fds fds;
	int len;

	if (proc->channel < 0)
		return false;
	if (!rate_take(&proc->rate, loop_now_ms())) {
		violation(proc, "too many of them", 0);
		return false;
	}
	len = chan_recv(proc->channel, sup->frame, sizeof(sup->frame), fds.fds, &fds.count);
	if (len == -EAGAIN)
		return false;
	if (len == 0) {
		close_channel(proc);
		return false;
	}
	if (len < 0) {
		violation(proc, len == -EPROTO ? "truncated, or too many fds" : strerror(-len), 0);
		return false;
	}
	if (dispatch_frame(&messages_table, proc->role, proc->phase, sup->frame, (size_t)len, &fds,
			   &sup->room, proc, &error) < 0) {
		violation(proc, error.reason, error.type);
		return false;
	}
	return true;
}

/* The last step of its ladder, if it has one. */
static const char *last_step(const struct proc *proc)
{
	const struct supervisor *sup = proc->sup;

	return proc->role == ROLE_LOADER && proc->ladder_of == proc->pid && sup->ladder_count
		       ? sup->ladder[sup->ladder_count - 1].name
		       : NULL;
}

static void write_words(struct proc *proc, const siginfo_t *info, const struct rusage *usage)
{
	const struct last_words words = {.code = info->si_code,
					 .status = info->si_status,
					 .phase = proc->phase,
					 .step = last_step(proc),
					 .lasted_ns = loop_now_ns() - proc->started_ns,
					 .usage = *usage};

	last_words_text(&words, proc->words, sizeof(proc->words));
}

/* Of one that has ended: nobody told it to. */
static bool has_crashed(const struct proc *proc)
{
	return proc->life.wanted && !proc->life.replacing;
}

/* Says how a child ended: in the log, and as what the status shows. */
static void report_end(struct proc *proc, const siginfo_t *info, const struct rusage *usage)
{
	char how[64];

	if (info->si_code == CLD_EXITED)
		snprintf(how, sizeof(how), "exit %d", info->si_status);
	else
		snprintf(how, sizeof(how), "killed by signal %d", info->si_status);
	if (proc->reason[0] && info->si_code == CLD_EXITED && info->si_status == 0)
		memcpy(proc->last, proc->reason, sizeof(proc->last));
	else if (proc->reason[0])
		snprintf(proc->last, sizeof(proc->last), "%s: %.180s", how, proc->reason);
	else
		snprintf(proc->last, sizeof(proc->last), "%s", how);
	if (has_crashed(proc)) {
		write_words(proc, info, usage);
		log_warning("%s (pid %d) ended: %s (%s)", proto_role_name(proc->role),
			    (int)proc->pid, proc->last, proc->words);
	} else {
		log_debug("%s (pid %d) ended: %s", proto_role_name(proc->role), (int)proc->pid,
			  proc->last);
	}
}

static void on_exit_fd(void *ctx, uint32_t events)
{
	struct proc *proc = ctx;
	struct rusage usage = {.ru_maxrss = 0};
	siginfo_t info = {0};
	bool exec_failed, crashed;

	(void)events;
	/* libc's has no place for the usage. */
	if (syscall(SYS_waitid, P_PIDFD, proc->pidfd, &info, WEXITED | WNOHANG, &usage) < 0 ||
	    !info.si_pid)
		return;
	for (int i = 0; i < LAST_WORDS_MAX && take_message(proc); i++)
		continue;
	exec_failed = info.si_code == CLD_EXITED && info.si_status == SPAWN_EXEC_FAILED;
	/* Its channel may have been heard to close first. */
	if (exec_failed)
		snprintf(proc->reason, sizeof(proc->reason), "%s can't be executed: install it",
			 kinds[proc->role].program);
	report_end(proc, &info, &usage);
	crashed = has_crashed(proc);
	close_channel(proc);
	loop_remove(&proc->sup->loop, proc->pidfd);
	close(proc->pidfd);
	proc->pidfd = -1;
	proc->pid = 0;
	if (exec_failed)
		children_event(proc, LIFE_FATAL);
	children_event(proc, LIFE_EXITED);
	if (crashed)
		rollout_crashed(proc);
	if (proc->sup->stopping)
		stop_next(proc->sup);
	else
		upgrade_next(proc->sup);
}

static void on_channel(void *ctx, uint32_t events)
{
	struct proc *proc = ctx;

	(void)events;
	if (take_message(proc) || proc->channel >= 0)
		return;
	/* It hung up: dying, which is heard from its pidfd, or alive, which is a breach. */
	if (proc->pidfd >= 0) {
		siginfo_t info = {0};

		if (waitid(P_PIDFD, (id_t)proc->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid)
			return;
	}
	if (proc->life.state != LIFE_STOPPING && !proc->reason[0]) {
		children_reason(proc, "closed its channel");
		children_event(proc, LIFE_BROKEN);
	}
}

static int watch(struct proc *proc, const struct spawned *spawned)
{
	struct loop *loop = &proc->sup->loop;
	int err;

	proc->pid = spawned->pid;
	proc->pidfd = spawned->pidfd;
	proc->channel = spawned->channel;
	err = loop_add(loop, proc->pidfd, EPOLLIN, on_exit_fd, proc);
	return err ? err : loop_add(loop, proc->channel, EPOLLIN, on_channel, proc);
}

static void do_spawn(struct proc *proc)
{
	struct spawned spawned;
	int err;

	proc->phase = PHASE_STARTING;
	proc->reason[0] = '\0';
	proc->exit_code = 0;
	proc->started_ns = loop_now_ns();
	rate_init(&proc->rate, loop_now_ms());
	memset(&proc->stats, 0, sizeof(proc->stats));
	err = spawn_child(proc->sup->program_fd, kinds[proc->role].program,
			  kinds[proc->role].variables, &spawned);
	if (err) {
		snprintf(proc->last, sizeof(proc->last), "can't start: %s", strerror(-err));
		log_error("%s: %s", proto_role_name(proc->role), proc->last);
		children_event(proc, LIFE_EXITED);
		return;
	}
	err = watch(proc, &spawned);
	if (err) {
		children_reason(proc, "can't watch: %s", strerror(-err));
		children_event(proc, LIFE_BROKEN);
	}
	log_debug("%s: started, pid %d", proto_role_name(proc->role), (int)proc->pid);
}

static void do_kill(struct proc *proc)
{
	if (proc->pidfd < 0)
		return;
	children_reason(proc, "killed: silent for too long in state %s",
			proto_phase_name(proc->phase));
	(void)syscall(SYS_pidfd_send_signal, proc->pidfd, SIGKILL, NULL, 0);
}

static void do_give_up(struct proc *proc)
{
	struct supervisor *sup = proc->sup;

	log_error("%s: given up%s: %s: mend it, then send SIGHUP", proto_role_name(proc->role),
		  proc->life.fatal ? "" : " after too many crashes in a row", proc->last);
	if (proc->role == ROLE_VERIFIER)
		configure_failed(sup, proc->last);
	else if (rollout_given_up(proc))
		return;
	/* Tracing doesn't depend on polling. */
	else if (proc->role != ROLE_POLLER && !sup->up && !sup->stopping)
		children_stop(sup, proc->exit_code ? (int)proc->exit_code : EX_UNAVAILABLE);
}

/* Sets the timer to the next deadline of any child. */
static void arm_timer(struct supervisor *sup)
{
	uint64_t now = loop_now_ms(), next = UINT64_MAX;

	for (int role = 0; role < ROLE_COUNT; role++) {
		uint64_t deadline = sup->procs[role].life.deadline_ms;

		if (kinds[role].program && deadline && deadline < next)
			next = deadline;
	}
	if (next == UINT64_MAX)
		(void)loop_timer_set(sup->timer_fd, 0, 0);
	else
		(void)loop_timer_set(sup->timer_fd, next > now ? (uint32_t)(next - now) : 1, 0);
}

void children_event(struct proc *proc, enum life_event event)
{
	switch (life_step(&proc->life, event, loop_now_ms())) {
	case LIFE_NOTHING:
		break;
	case LIFE_SPAWN:
		do_spawn(proc);
		break;
	case LIFE_CLOSE:
		close_channel(proc);
		break;
	case LIFE_KILL:
		do_kill(proc);
		break;
	case LIFE_GIVEN_UP:
		do_give_up(proc);
		break;
	}
	arm_timer(proc->sup);
}

int children_send(struct proc *proc, enum msg_type type, const void *msg, const int *fds,
		  uint32_t fd_count)
{
	struct supervisor *sup = proc->sup;
	int len, err;

	if (proc->channel < 0)
		return -ENOTCONN;
	len = msg_pack(type, msg, sup->frame, sizeof(sup->frame));
	err = len < 0 ? len : chan_send(proc->channel, sup->frame, (size_t)len, fds, fd_count, 0);
	/* One that has died is heard from its pidfd, with how it died. */
	if (err && err != -EPIPE) {
		children_reason(proc, "can't be sent %s: %s", proto_row(type)->name,
				strerror(-err));
		log_error("%s: %s", proto_role_name(proc->role), proc->reason);
		children_event(proc, LIFE_BROKEN);
	}
	return err;
}

static void on_timer(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;

	(void)events;
	if (!loop_timer_ack(sup->timer_fd))
		return;
	for (int role = 0; role < ROLE_COUNT; role++)
		if (kinds[role].program)
			children_event(&sup->procs[role], LIFE_TICK);
}

int children_init(struct supervisor *sup)
{
	for (int role = 0; role < ROLE_COUNT; role++) {
		struct proc *proc = &sup->procs[role];

		*proc = (struct proc){
			.sup = sup, .role = (enum role)role, .pidfd = -1, .channel = -1};
		if (kinds[role].program)
			life_init(&proc->life, kinds[role].times);
	}
	sup->timer_fd = loop_timer(&sup->loop, 0, 0, on_timer, sup);
	return sup->timer_fd < 0 ? sup->timer_fd : 0;
}

static bool is_idle(const struct supervisor *sup, enum role role)
{
	return sup->procs[role].life.state == LIFE_IDLE;
}

static void stop_next(struct supervisor *sup)
{
	if (!is_idle(sup, ROLE_LOADER) || !is_idle(sup, ROLE_POLLER) ||
	    !is_idle(sup, ROLE_VERIFIER))
		return;
	/* The last fds of the links: the kernel detaches the probes, and the ring grows no more. */
	custody_detach(&sup->custody);
	if (is_idle(sup, ROLE_EXPORTER))
		sup->loop.stop = true;
	else
		children_event(&sup->procs[ROLE_EXPORTER], LIFE_STOP);
	if (is_idle(sup, ROLE_EXPORTER))
		sup->loop.stop = true;
}

void children_stop(struct supervisor *sup, int exit_code)
{
	static const enum role first[] = {ROLE_VERIFIER, ROLE_POLLER, ROLE_LOADER};

	if (sup->stopping)
		return;
	sup->stopping = true;
	sup->exit_code = exit_code;
	notify_send(&sup->notify, "STOPPING=1");
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		children_event(&sup->procs[first[i]], LIFE_STOP);
	stop_next(sup);
}

bool children_are_idle(const struct supervisor *sup)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		if (kinds[role].program && !is_idle(sup, (enum role)role))
			return false;
	return true;
}

void children_pause(struct supervisor *sup)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		if (kinds[role].program)
			children_event(&sup->procs[role], LIFE_STOP);
}

/* The loader's READY has the others started. */
void children_resume(struct supervisor *sup)
{
	children_event(&sup->procs[ROLE_LOADER], LIFE_WANT);
	if (sup->configure.checking)
		children_event(&sup->procs[ROLE_VERIFIER], LIFE_WANT);
}
