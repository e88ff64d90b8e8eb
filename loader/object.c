/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

static uint64_t hash_on(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * FNV_PRIME;
	return hash ? hash : 1;
}

void object_mix(struct object *object, const void *bytes, size_t len)
{
	object->identity = hash_on(object->identity, bytes, len);
}

/* Why this file is not to be trusted; NULL if it is. */
static const char *distrust(const struct stat *st, size_t most)
{
	if (!S_ISREG(st->st_mode))
		return "is not a regular file: install conntrace's own";
	if (st->st_uid != 0 || st->st_gid != 0)
		return "does not belong to root:root: chown root:root it";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by others than root: chmod go-w it";
	if (st->st_size <= 0 || (size_t)st->st_size > most)
		return "has no plausible size: install conntrace's own";
	return NULL;
}

static int read_whole(int fd, struct object *object)
{
	size_t at = 0;
	uint8_t probe;

	while (at < object->len) {
		ssize_t n = read(fd, object->bytes + at, object->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBUSY;
		at += (size_t)n;
	}
	return read(fd, &probe, 1) == 0 ? 0 : -EBUSY;
}

static int read_trusted(int fd, struct object *object, const char *name, size_t most, char *why,
			size_t cap)
{
	const char *reason;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0) {
		err = -errno;
		snprintf(why, cap, "%s: %s", name, strerror(-err));
		return err;
	}
	reason = distrust(&st, most);
	if (reason) {
		snprintf(why, cap, "%s %s", name, reason);
		return -EPERM;
	}
	object->len = (size_t)st.st_size;
	object->bytes = malloc(object->len);
	if (!object->bytes) {
		snprintf(why, cap, "%s: no memory for %zu bytes", name, object->len);
		return -ENOMEM;
	}
	err = read_whole(fd, object);
	if (err) {
		snprintf(why, cap, "%s: %s", name,
			 err == -EBUSY ? "changed while it was read" : strerror(-err));
		object_close(object);
	}
	return err;
}

static const char *open_remedy(int err)
{
	if (err == -ELOOP)
		return "is a symbolic link: put the file itself there";
	if (err == -ENOENT)
		return "is missing: install conntrace's BPF objects";
	if (err == -EACCES)
		return "can't be read by the user conntrace runs as: chmod a+r it";
	return strerror(-err);
}

int object_open(struct object *object, int dir_fd, const char *name, size_t most, char *why,
		size_t cap)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int err;

	memset(object, 0, sizeof(*object));
	if (fd < 0) {
		err = -errno;
		snprintf(why, cap, "%s %s", name, open_remedy(err));
		return err;
	}
	err = read_trusted(fd, object, name, most, why, cap);
	close(fd);
	if (!err)
		object->identity = hash_on(FNV_OFFSET, object->bytes, object->len);
	return err;
}

void object_close(struct object *object)
{
	free(object->bytes);
	object->bytes = NULL;
	object->len = 0;
}
