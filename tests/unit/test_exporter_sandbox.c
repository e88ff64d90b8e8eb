/* SPDX-License-Identifier: Apache-2.0 */
/* What a process can do once it has entered the exporter's sandbox: tried in a child each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/landlock.h"
#include "exporter/sandbox.h"
#include "record/cgroups.h"
#include "tests/unit/tree.h"

/* How a child ends that did not do what it was to try. */
#define NOT_ENTERED 100

static char root[64];
static int root_fd, watch_fd;

static int make_tree(void **state)
{
	int fd;

	(void)state;
	snprintf(root, sizeof(root), "/tmp/conntrace-sandbox-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	fd = openat(root_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (root_fd < 0 || watch_fd < 0 || fd < 0 || close(fd) < 0 || fchdir(root_fd) < 0)
		return -1;
	return mkdirat(root_fd, "in", 0755);
}

static int remove_tree(void **state)
{
	(void)state;
	close(root_fd);
	close(watch_fd);
	(void)tree_remove(root);
	return chdir("/");
}

/* Returns how the child ended, as waitpid(2) tells; what it tried returns 0 or an errno. */
static int in_sandbox(int (*what)(void), int cgroup_fd)
{
	const char *part;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(sandbox_enter(cgroup_fd, &part) == 0 ? what() : NOT_ENTERED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_exit(int (*what)(void), int code)
{
	int status = in_sandbox(what, root_fd);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status 0x%x, expected exit code %d", (unsigned int)status, code);
}

/* Tried in a child, too. */
static bool has_landlock(void)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(landlock_apply(NULL, 0, NULL, 0) > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static int list(const char *path)
{
	char names[1024];
	int fd = openat(root_fd, path, CGROUPS_OPEN_FLAGS);

	return fd < 0 || getdents64(fd, names, sizeof(names)) <= 0 ? errno : 0;
}

static int list_root(void)
{
	return list(".");
}

static int list_inner(void)
{
	return list("in");
}

static int list_tmp(void)
{
	return list("/tmp");
}

static int list_parent(void)
{
	return list("..");
}

static int look_and_watch(void)
{
	struct stat st;
	int watch;

	if (fstatat(root_fd, "in", &st, CGROUPS_STAT_FLAGS) < 0)
		return errno;
	watch = inotify_add_watch(watch_fd, "in", CGROUPS_WATCH_MASK);
	return watch < 0 || inotify_rm_watch(watch_fd, watch) < 0 ? errno : 0;
}

static int read_file(void)
{
	return openat(root_fd, "file", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int make_file(void)
{
	return openat(root_fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 ? errno : 0;
}

static void test_exporter_sandbox_cgroups_can_be_listed_and_watched(void **state)
{
	(void)state;
	expect_exit(list_root, 0);
	expect_exit(list_inner, 0);
	expect_exit(look_and_watch, 0);
}

static void test_exporter_sandbox_no_other_directory_can(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	expect_exit(list_tmp, EACCES);
	expect_exit(list_parent, EACCES);
	assert_int_equal(WEXITSTATUS(in_sandbox(list_root, -1)), EACCES);
}

/* Without the filter, so that it is Landlock that answers. */
static void test_exporter_sandbox_landlock_alone_lets_no_file_be_read(void **state)
{
	const struct landlock_room room = {.fd = root_fd, .names = true};
	int status;
	pid_t pid;

	(void)state;
	if (!has_landlock())
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(landlock_apply(&room, 1, NULL, 0) > 0 && list_inner() == 0 &&
				      read_file() == EACCES && make_file() == EACCES
			      ? 0
			      : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Not with a sanitizer: then the filter lets pass what it does not know. */
#if !defined(__SANITIZE_ADDRESS__)
static int watch_reads(void)
{
	return inotify_add_watch(watch_fd, "file", IN_ACCESS) < 0 ? errno : 0;
}

static int make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static void test_exporter_sandbox_whoever_tries_more_is_killed(void **state)
{
	int (*const tries[])(void) = {read_file, make_file, watch_reads, make_socket};

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int status = in_sandbox(tries[i], root_fd);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("try %zu: status 0x%x, expected SIGSYS", i, (unsigned int)status);
	}
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exporter_sandbox_cgroups_can_be_listed_and_watched),
		TEST(test_exporter_sandbox_no_other_directory_can),
		TEST(test_exporter_sandbox_landlock_alone_lets_no_file_be_read),
#if !defined(__SANITIZE_ADDRESS__)
		TEST(test_exporter_sandbox_whoever_tries_more_is_killed),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
