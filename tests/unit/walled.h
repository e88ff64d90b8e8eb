/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Landlock keeps a process from once it has entered its sandbox, whatever becomes of its
 * seccomp list: linked without common/seccomp.c. To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_WALLED_H
#define TESTS_UNIT_WALLED_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/landlock.h"
#include "common/seccomp.h"

#define WALLED_NOT_ENTERED 100
#define WALLED_OPEN        101

/* The sandbox of the process that is tested; returns 0 or a negative errno. */
static int enter(void);

/* In the place of common/seccomp.c's. */
int seccomp_apply(const struct seccomp_rule *rules, size_t count)
{
	return rules && count ? 0 : -EINVAL;
}

/* The errno that reading a file that everybody may read, and listing the root, ends with. */
static int try_files(void)
{
	int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int err = errno;

	if (file >= 0 || open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0)
		return WALLED_OPEN;
	return err == errno ? err : WALLED_OPEN;
}

/* With ABI 4 nothing can be reached by TCP, either; ECONNREFUSED is whoever gets through. */
static int try_tcp(void)
{
	const struct sockaddr_in nobody = {.sin_family = AF_INET,
					   .sin_port = htons(9),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&nobody, sizeof(nobody)) == 0)
		return WALLED_OPEN;
	return errno;
}

/* What that was in a child that has entered. */
static int walled(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter() == 0 ? what() : WALLED_NOT_ENTERED);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static void test_sandbox_lets_no_file_be_seen(void **state)
{
	(void)state;
	if (landlock_abi() < 1)
		skip();
	assert_int_equal(walled(try_files), EACCES);
}

static void test_sandbox_lets_nobody_be_reached_by_tcp(void **state)
{
	(void)state;
	if (landlock_abi() < 4)
		skip();
	assert_int_equal(walled(try_tcp), EACCES);
}

static int walled_run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sandbox_lets_no_file_be_seen),
		cmocka_unit_test(test_sandbox_lets_nobody_be_reached_by_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
