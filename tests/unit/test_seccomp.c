/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of system calls under a list: each is made in a child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/seccomp.h"

#define NOT_APPLIED 100
#define SURVIVED    101
/* exit_group of x86-64, which is allowed; on i386 it is another call. */
#define NUMBER_OF_BOTH 231

#if defined(CONNTRACE_DEBUG)
#define DEBUG_BUILD true
#else
#define DEBUG_BUILD false
#endif

static const struct seccomp_rule list[] = {
	SECCOMP_ALLOW(exit_group),
	SECCOMP_ALLOW(getppid),
	SECCOMP_ALLOW_IF(prctl, 0, UINT32_MAX, PR_GET_NO_NEW_PRIVS),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_REFUSE(getsid, EACCES),
	SECCOMP_REFUSE_IF(getpgid, 0, UINT32_MAX, 1, EPERM),
};

/* How the child ended, as waitpid(2) tells. */
static int under_the_list(int (*what)(void), bool log_only)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (log_only && seccomp_log_only() < 0)
			_exit(NOT_APPLIED);
		if (seccomp_apply(list, sizeof(list) / sizeof(list[0])) < 0)
			_exit(NOT_APPLIED);
		/* A sanitizer has calls of its own before _exit(). */
		(void)syscall(SYS_exit_group, what());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_exit(int (*what)(void), int code)
{
	int status = under_the_list(what, false);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status 0x%x, expected exit code %d", (unsigned int)status, code);
}

static int ask_parent(void)
{
	return syscall(SYS_getppid) > 0 ? 0 : SURVIVED;
}

static int ask_no_new_privs(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : SURVIVED;
}

static int map(int protection)
{
	void *mem = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? errno : 0;
}

static int map_data(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static int ask_session(void)
{
	return syscall(SYS_getsid, 0) < 0 ? errno : SURVIVED;
}

static int ask_group_of_init(void)
{
	return syscall(SYS_getpgid, 1) < 0 ? errno : SURVIVED;
}

static int ask_user(void)
{
	syscall(SYS_getuid);
	return SURVIVED;
}

static void test_seccomp_list_allows_what_it_names(void **state)
{
	(void)state;
	expect_exit(ask_parent, 0);
	expect_exit(map_data, 0);
}

static void test_seccomp_list_comes_with_no_new_privs(void **state)
{
	(void)state;
	expect_exit(ask_no_new_privs, 0);
}

static void test_seccomp_list_refuses_what_it_names_with_an_error(void **state)
{
	(void)state;
	expect_exit(ask_session, EACCES);
	expect_exit(ask_group_of_init, EPERM);
}

static void test_seccomp_list_has_a_limit(void **state)
{
	static struct seccomp_rule long_list[SECCOMP_RULES_MAX + 1];

	(void)state;
	assert_int_equal(seccomp_apply(long_list, SECCOMP_RULES_MAX + 1), -E2BIG);
}

static void test_seccomp_only_a_debug_build_logs_instead(void **state)
{
	int status = under_the_list(ask_user, true);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), DEBUG_BUILD ? SURVIVED : NOT_APPLIED);
}

/* Not with a sanitizer: then the list lets pass what it does not know. */
#if !defined(__SANITIZE_ADDRESS__) || defined(CONNTRACE_DEBUG)
static int map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static int ask_group_of_another(void)
{
	(void)syscall(SYS_getpgid, 2);
	return SURVIVED;
}

static void expect_killed(int (*what)(void))
{
	int status = under_the_list(what, false);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("status 0x%x, expected SIGSYS", (unsigned int)status);
}

static void test_seccomp_whatever_else_kills(void **state)
{
	(void)state;
	expect_killed(ask_user);
	expect_killed(map_code);
	expect_killed(ask_group_of_another);
}
#endif

#if defined(__x86_64__)
static int call_of_another_architecture(void)
{
	long answer;

	__asm__ volatile("int $0x80" : "=a"(answer) : "a"(NUMBER_OF_BOTH), "b"(0) : "memory");
	return SURVIVED;
}

static void test_seccomp_calls_of_another_architecture_kill(void **state)
{
	int status = under_the_list(call_of_another_architecture, false);

	(void)state;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		skip(); /* the kernel has no such calls */
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seccomp_list_allows_what_it_names),
		cmocka_unit_test(test_seccomp_list_comes_with_no_new_privs),
		cmocka_unit_test(test_seccomp_list_refuses_what_it_names_with_an_error),
		cmocka_unit_test(test_seccomp_list_has_a_limit),
		cmocka_unit_test(test_seccomp_only_a_debug_build_logs_instead),
#if !defined(__SANITIZE_ADDRESS__) || defined(CONNTRACE_DEBUG)
		cmocka_unit_test(test_seccomp_whatever_else_kills),
#endif
#if defined(__x86_64__)
		cmocka_unit_test(test_seccomp_calls_of_another_architecture_kill),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
