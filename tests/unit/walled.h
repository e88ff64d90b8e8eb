/* SPDX-License-Identifier: Apache-2.0 */
/* What Landlock alone keeps a process from, once it has entered its sandbox: links without seccomp.
 */
#ifndef TESTS_UNIT_WALLED_H
#define TESTS_UNIT_WALLED_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/landlock.h"
#include "common/seccomp.h"

#define WALLED_NOT_ENTERED 100
#define WALLED_OPEN        101

/* In the place of common/seccomp.c's. */
int seccomp_apply(const struct seccomp_rule *rules, size_t count)
{
	return rules && count ? 0 : -EINVAL;
}

/* The errno that reading a file that everybody may read, and listing the root, ends with. */
static inline int walled_try(void)
{
	int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int err = errno;

	if (file >= 0 || open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0)
		return WALLED_OPEN;
	return err == errno ? err : WALLED_OPEN;
}

/* With ABI 4 nothing can be reached by TCP, either; ECONNREFUSED is whoever gets through. */
static inline int walled_try_tcp(void)
{
	const struct sockaddr_in nobody = {.sin_family = AF_INET,
					   .sin_port = htons(9),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&nobody, sizeof(nobody)) == 0)
		return WALLED_OPEN;
	return errno;
}

/* What that was in a child that has entered; enter returns 0 or a negative errno. */
static inline int walled(int (*enter)(void), int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter() == 0 ? what() : WALLED_NOT_ENTERED);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#endif
