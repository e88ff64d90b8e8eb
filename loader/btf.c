/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/btf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *remedy(int err)
{
	if (err == -ENOENT)
		return "this kernel has no BTF: run one built with CONFIG_DEBUG_INFO_BTF=y, and "
		       "with "
		       "/sys mounted";
	if (err == -EACCES)
		return "not readable: it is world-readable where /sys is mounted as usual";
	return strerror(-err);
}

int btf_check_kernel(const char *path, char *why, size_t cap)
{
	struct btf_header header;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		int err = -errno;

		snprintf(why, cap, "%s: %s", path, remedy(err));
		return err;
	}
	n = read(fd, &header, sizeof(header));
	close(fd);
	if (n == sizeof(header) && header.magic == BTF_MAGIC)
		return 0;
	snprintf(why, cap, "%s: holds no BTF of this byte order", path);
	return -EINVAL;
}
