/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void procfs_text(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, cap - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
}

int32_t procfs_number(const char *path)
{
	char text[32], *end;
	long number;

	procfs_text(path, text, sizeof(text));
	errno = 0;
	number = strtol(text, &end, 10);
	return errno || end == text || number < INT32_MIN || number > INT32_MAX ? -1
										: (int32_t)number;
}
