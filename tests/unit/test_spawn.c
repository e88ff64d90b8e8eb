/* SPDX-License-Identifier: Apache-2.0 */
/* The program that is spawned is this one: in the child it says on its channel what it found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/proto.h"
#include "common/spawn.h"

#define ME      "test_spawn"
#define FDS_MAX 256
#define WAIT_MS 20000

/* --- the child --- */

struct finding {
	uint8_t open[FDS_MAX];  /* which fds are */
	char environment[2048]; /* a line for each variable */
};

static struct finding found;

static bool is_child(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(PROTO_CHILD_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

static int be_child(void)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		found.open[fd] = fcntl(fd, F_GETFD) >= 0;
	for (char **line = environ; *line; line++) {
		size_t at = strlen(found.environment);

		snprintf(found.environment + at, sizeof(found.environment) - at, "%s\n", *line);
	}
	return chan_send(PROTO_CHILD_FD, (const uint8_t *)&found, sizeof(found), NULL, 0,
			 WAIT_MS) == 0
		       ? 0
		       : 1;
}

/* --- the parent --- */

static int program_fd;

static int open_directory(void **state)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	(void)state;
	if (len < 0)
		return -1;
	path[len] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	program_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (program_fd >= 0)
		program_fd = spawn_move_fd(program_fd);
	return program_fd < 0 ? -1 : 0;
}

static int close_directory(void **state)
{
	(void)state;
	return close(program_fd);
}

static int exit_status(const struct spawned *spawned)
{
	int status;

	assert_int_equal(waitpid(spawned->pid, &status, 0), spawned->pid);
	close(spawned->pidfd);
	close(spawned->channel);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void spawn(const char *const *variables)
{
	struct pollfd told = {.events = POLLIN};
	struct spawned spawned;
	uint32_t fds;
	int none[PROTO_FDS_MAX];

	memset(&found, 0, sizeof(found));
	assert_int_equal(spawn_child(program_fd, ME, variables, &spawned), 0);
	told.fd = spawned.channel;
	assert_int_equal(poll(&told, 1, WAIT_MS), 1);
	assert_int_equal(chan_recv(spawned.channel, (uint8_t *)&found, sizeof(found), none, &fds),
			 sizeof(found));
	assert_int_equal(exit_status(&spawned), 0);
}

static void only_the_channel_is_open(void)
{
	for (int fd = 0; fd < FDS_MAX; fd++)
		if (found.open[fd] != (fd <= PROTO_CHILD_FD))
			fail_msg("fd %d is %s", fd, found.open[fd] ? "open" : "closed");
}

/* On both sides of the program's directory, and not close-on-exec. */
static void test_spawn_leaves_nothing_open_but_the_channel(void **state)
{
	int below = open("/dev/null", O_RDONLY), above;

	(void)state;
	assert_in_range(below, PROTO_CHILD_FD, program_fd - 1);
	above = fcntl(below, F_DUPFD, program_fd + 1);
	assert_true(above > program_fd);
	spawn(NULL);
	close(below);
	close(above);
	only_the_channel_is_open();
}

static void test_spawn_passes_only_the_variables_it_is_told_to(void **state)
{
	static const char *const names[] = {"SPAWN_SET", "SPAWN_EMPTY", "SPAWN_UNSET", NULL};

	(void)state;
	setenv("SPAWN_SET", "as it is\n", 1);
	setenv("SPAWN_EMPTY", "", 1);
	setenv("SPAWN_OTHER", "1", 1);
	setenv("LD_DEBUG_OUTPUT", "/nonexistent", 1);
	unsetenv("SPAWN_UNSET");
	unsetenv("JOURNAL_STREAM");
	spawn(NULL);
	assert_string_equal(found.environment, "");
	spawn(names);
	assert_string_equal(found.environment, "SPAWN_SET=as it is\n\nSPAWN_EMPTY=\n");
	setenv("JOURNAL_STREAM", "8:2", 1);
	spawn(NULL);
	assert_string_equal(found.environment, "JOURNAL_STREAM=8:2\n");
	unsetenv("JOURNAL_STREAM");
}

static void test_spawn_bounds_what_it_passes(void **state)
{
	const char *many[SPAWN_VARIABLES_MAX + 8];
	char value[5000], name[100];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	setenv("SPAWN_LONG", value, 1);
	spawn((const char *const[]){"SPAWN_LONG", NULL});
	assert_int_equal(strlen(found.environment),
			 strlen("SPAWN_LONG=") + SPAWN_VALUE_MAX + strlen("\n"));
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = "SPAWN_LONG";
	many[sizeof(many) / sizeof(many[0]) - 1] = NULL;
	setenv("JOURNAL_STREAM", "8:2", 1);
	spawn(many);
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(strlen(found.environment),
			 strlen("JOURNAL_STREAM=8:2\n") +
				 SPAWN_VARIABLES_MAX *
					 (strlen("SPAWN_LONG=") + SPAWN_VALUE_MAX + strlen("\n")));
	memset(name, 'N', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv(name, "1", 1);
	spawn((const char *const[]){name, NULL});
	assert_string_equal(found.environment, "");
	unsetenv(name);
}

static void test_spawn_says_that_there_is_no_such_program(void **state)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), log = dup(STDERR_FILENO);
	struct spawned spawned;

	(void)state;
	assert_int_equal(dup2(null, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(spawn_child(program_fd, "no-such-program", NULL, &spawned), 0);
	assert_int_equal(exit_status(&spawned), SPAWN_EXEC_FAILED);
	dup2(log, STDERR_FILENO);
	close(null);
	close(log);
}

/* Linux 5.10 knows no flag of close_range but CLOSE_RANGE_UNSHARE. For good: the last test. */
static void test_spawn_needs_no_flag_of_close_range(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	(void)state;
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
	assert_int_equal(close_range(1000, 1000, 4), -1);
	assert_int_equal(errno, EINVAL);
	spawn(NULL);
	only_the_channel_is_open();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spawn_leaves_nothing_open_but_the_channel),
		cmocka_unit_test(test_spawn_passes_only_the_variables_it_is_told_to),
		cmocka_unit_test(test_spawn_bounds_what_it_passes),
		cmocka_unit_test(test_spawn_says_that_there_is_no_such_program),
		cmocka_unit_test(test_spawn_needs_no_flag_of_close_range),
	};

	if (is_child())
		return be_child();
	return cmocka_run_group_tests(tests, open_directory, close_directory);
}
