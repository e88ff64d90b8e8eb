/* SPDX-License-Identifier: Apache-2.0 */
/* What child_init() makes of a process that was started in the worst of ways; in a child each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/privs.h"
#include "common/seccomp.h"

#define NOBODY    65534
#define FDS_MANY  64
#define NOT_MADE  100
#define NO_ERROR  0
#define FD_OF_NEW (PROTO_CHILD_FD + 1) /* the event loop's */

static struct child child;
static const struct dispatch_table table;

static bool has_fd(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* As somebody who means ill, or knows no better, would start it. */
static int start_badly(bool as_root)
{
	int pair[2], null;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || dup2(pair[1], FDS_MANY) < 0 ||
	    dup2(pair[0], FDS_MANY + 1) < 0)
		return -1;
	null = open("/dev/null", O_RDWR);
	for (int fd = PROTO_CHILD_FD + 1; fd < FDS_MANY; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	/* The other end goes with the rest: what is said is said to nobody. */
	if (dup2(FDS_MANY, PROTO_CHILD_FD) < 0 || close(STDIN_FILENO) < 0)
		return -1;
	umask(0);
	(void)signal(SIGCHLD, SIG_IGN);
	if (setenv("LD_PRELOAD", "/tmp/evil.so", 1) < 0 || setenv("TZ", "/etc/shadow", 1) < 0)
		return -1;
	if (as_root)
		return privs_set_caps(0, 0); /* so that it is the user that is refused */
	if (geteuid() != 0)
		return 0;
	return setgid(NOBODY) < 0 || setuid(NOBODY) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ? -1 : 0;
}

/* Returns the exit code of a child that was started badly and then ran `look`. */
static int started_badly(bool as_root, int (*look)(int err))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (start_badly(as_root) < 0)
			_exit(NOT_MADE);
		_exit(look(child_init(&child, ROLE_EXPORTER, &table, NULL, 0)));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int limit_of(int resource)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0 ||
	    limit.rlim_cur != limit.rlim_max || limit.rlim_max > 4096)
		return -1;
	return (int)limit.rlim_max;
}

static int look_at_environment(int err)
{
	(void)err;
	return environ && environ[0];
}

static int look_at_fds(int err)
{
	(void)err;
	for (int fd = 0; fd <= PROTO_CHILD_FD; fd++)
		if (!has_fd(fd))
			return 1;
	for (int fd = FD_OF_NEW + 1; fd < FDS_MANY + 2; fd++)
		if (has_fd(fd))
			return 2;
	return 0;
}

static int look_at_limits(int err)
{
	(void)err;
	if (limit_of(RLIMIT_CORE) != 0)
		return 1;
	return limit_of(RLIMIT_NOFILE) == 256 ? 0 : 2;
}

static int look_at_dumpable(int err)
{
	(void)err;
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static int look_at_death_signal(int err)
{
	int sig = 0;

	(void)err;
	return prctl(PR_GET_PDEATHSIG, &sig, 0, 0, 0) < 0 || sig != SIGKILL;
}

static int look_at_umask(int err)
{
	(void)err;
	return umask(0) != 077;
}

static int look_at_signals(int err)
{
	struct sigaction action;

	(void)err;
	if (sigaction(SIGCHLD, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
		return 1;
	return sigaction(SIGPIPE, NULL, &action) < 0 || action.sa_handler != SIG_IGN ? 2 : 0;
}

static int look_at_error(int err)
{
	return -err;
}

static void expect(int (*look)(int err), const char *what)
{
	int code = started_badly(false, look);

	if (code)
		fail_msg("%s: %d", what, code);
}

static void test_child_clears_its_environment(void **state)
{
	(void)state;
	expect(look_at_environment, "environment");
}

static void test_child_closes_all_but_its_channel(void **state)
{
	(void)state;
	expect(look_at_fds, "fds");
}

static void test_child_limits_core_and_fds(void **state)
{
	(void)state;
	expect(look_at_limits, "limits");
}

static void test_child_is_not_dumpable(void **state)
{
	(void)state;
	expect(look_at_dumpable, "dumpable");
}

static void test_child_dies_with_its_parent(void **state)
{
	(void)state;
	expect(look_at_death_signal, "parent-death signal");
}

static void test_child_resets_umask_and_signals(void **state)
{
	(void)state;
	expect(look_at_umask, "umask");
	expect(look_at_signals, "signals");
}

static void test_child_refuses_to_be_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(started_badly(true, look_at_error), EPERM);
}

/* Of a debug build conntraced may have asked for it. */
static int ask_to_log(int err)
{
	(void)err;
	(void)setenv(SECCOMP_LOG_VARIABLE, "1", 1);
	return -child_init(&child, ROLE_EXPORTER, &table, NULL, 0);
}

static void test_child_of_a_release_build_refuses_to_log_only(void **state)
{
	(void)state;
#if !defined(CONNTRACE_DEBUG)
	assert_int_equal(started_badly(false, ask_to_log), EPERM);
#else
	(void)ask_to_log;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_clears_its_environment),
		cmocka_unit_test(test_child_closes_all_but_its_channel),
		cmocka_unit_test(test_child_limits_core_and_fds),
		cmocka_unit_test(test_child_is_not_dumpable),
		cmocka_unit_test(test_child_dies_with_its_parent),
		cmocka_unit_test(test_child_resets_umask_and_signals),
		cmocka_unit_test(test_child_refuses_to_be_root),
		cmocka_unit_test(test_child_of_a_release_build_refuses_to_log_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
