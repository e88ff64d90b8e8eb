/* SPDX-License-Identifier: Apache-2.0 */
#include "common/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

int memfd_seal(const char *name, const void *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	err = io_write_all(fd, bytes, len);
	if (!err && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int memfd_check(int fd, size_t len)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPROTO;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size < 0 || (size_t)st.st_size != len ? -EPROTO : 0;
}

int memfd_read(int fd, size_t len, char **bytes)
{
	size_t done = 0;
	int err = memfd_check(fd, len);

	if (err)
		return err;
	*bytes = malloc(len + 1);
	if (!*bytes)
		return -ENOMEM;
	while (done < len) {
		ssize_t n = pread(fd, *bytes + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : -EPROTO;
			free(*bytes);
			return err;
		}
		done += (size_t)n;
	}
	(*bytes)[len] = '\0';
	return 0;
}
