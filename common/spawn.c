/* SPDX-License-Identifier: Apache-2.0 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/proto.h"
#include "common/seccomp.h"

/* NAME=VALUE of the longest name we pass. */
#define VARIABLE_BYTES 80
/* Passed to every child, beside those that the caller names. */
#if defined(CONNTRACE_DEBUG)
#define OWN_VARIABLES 2
#else
#define OWN_VARIABLES 1
#endif

struct environment {
	uint32_t count;
	char texts[SPAWN_VARIABLES_MAX + OWN_VARIABLES][VARIABLE_BYTES];
	char *list[SPAWN_VARIABLES_MAX + OWN_VARIABLES + 1]; /* ends with NULL */
};

int spawn_move_fd(int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	int err = errno;

	close(fd);
	return moved < 0 ? -err : moved;
}

static void pass_variable(struct environment *env, const char *name)
{
	const char *value = getenv(name);
	char *text;

	if (!value || env->count == SPAWN_VARIABLES_MAX + OWN_VARIABLES)
		return;
	text = env->texts[env->count];
	if (snprintf(text, VARIABLE_BYTES, "%s=%.*s", name, SPAWN_VALUE_MAX, value) <
	    VARIABLE_BYTES)
		env->list[env->count++] = text;
}

/*
 * Closes every fd above the channel but one. Two calls, where CLOSE_RANGE_CLOEXEC would need one:
 * a kernel may have close_range without that flag (Linux 5.10).
 */
static int close_all_but(unsigned int keep)
{
	const unsigned int first = PROTO_CHILD_FD + 1;

	if (keep > first && close_range(first, keep - 1, 0) < 0)
		return -1;
	return close_range(keep + 1, ~0u, 0);
}

/* Between fork and exec: only calls that are safe there. */
static _Noreturn void become(int program_fd, const char *name, int channel, char *const env[])
{
	char *const argv[] = {(char *)(uintptr_t)name, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(channel, PROTO_CHILD_FD) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(SPAWN_EXEC_FAILED);
	/* A session of its own: the terminal's interrupt is for the supervisor. */
	if (setsid() < 0 || close_all_but((unsigned int)program_fd) < 0)
		_exit(SPAWN_EXEC_FAILED);
	syscall(SYS_execveat, program_fd, name, argv, env, 0);
	dprintf(STDERR_FILENO, "conntraced: execute %s: %s\n", name, strerror(errno));
	_exit(SPAWN_EXEC_FAILED);
}

int spawn_child(int program_fd, const char *name, const char *const *variables,
		struct spawned *spawned)
{
	struct environment env = {0};
	int pair[2], theirs, err;
	pid_t pid;

	pass_variable(&env, "JOURNAL_STREAM");
#if defined(CONNTRACE_DEBUG)
	pass_variable(&env, SECCOMP_LOG_VARIABLE);
#endif
	for (; variables && *variables; variables++)
		pass_variable(&env, *variables);
	err = chan_pair(pair);
	if (err)
		return err;
	theirs = spawn_move_fd(pair[1]);
	if (theirs < 0) {
		close(pair[0]);
		return theirs;
	}
	pid = fork();
	if (pid == 0)
		become(program_fd, name, theirs, env.list);
	err = pid < 0 ? -errno : 0;
	close(theirs);
	if (err) {
		close(pair[0]);
		return err;
	}
	*spawned = (struct spawned){.pid = pid, .channel = pair[0]};
	spawned->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (spawned->pidfd >= 0)
		return 0;
	err = -errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(spawned->channel);
	return err;
}
