/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wholefile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

static int read_bytes(int fd, size_t max_bytes, char **bytes, size_t *len)
{
	struct stat st;
	char *buffer;

	*len = 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size < 0 || (size_t)st.st_size > max_bytes)
		return -EFBIG;
	buffer = malloc((size_t)st.st_size + 1);
	if (!buffer)
		return -ENOMEM;
	/* What is added meanwhile is left out: whoever adds to such files breaks the rule. */
	while (*len < (size_t)st.st_size) {
		ssize_t n = read(fd, buffer + *len, (size_t)st.st_size - *len);

		if (n < 0 && errno != EINTR) {
			int err = -errno;

			free(buffer);
			return err;
		}
		if (n == 0)
			break;
		*len += n > 0 ? (size_t)n : 0;
	}
	buffer[*len] = '\0';
	*bytes = buffer;
	return 0;
}

int wholefile_read(int dir_fd, const char *name, size_t max_bytes, char **bytes, size_t *len)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int err;

	*bytes = NULL;
	*len = 0;
	if (fd < 0)
		return -errno;
	err = read_bytes(fd, max_bytes, bytes, len);
	close(fd);
	return err;
}

int wholefile_write(int dir_fd, const char *name, const void *bytes, size_t len, mode_t mode)
{
	char temporary[NAME_MAX + 1];
	int fd, err;

	if (snprintf(temporary, sizeof(temporary), ".%s.tmp", name) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	/* One that a crash left behind may belong to a link or have other rights. */
	if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	err = io_write_all(fd, bytes, len);
	if (!err && fsync(fd) < 0)
		err = -errno;
	/* A full disk of the network kind says so only now. */
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir_fd, temporary, dir_fd, name) < 0)
		err = -errno;
	if (err) {
		(void)unlinkat(dir_fd, temporary, 0);
		return err;
	}
	return fsync(dir_fd) < 0 ? -errno : 0;
}
