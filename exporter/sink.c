/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that poll(2) calls writable has room for this much, so that a blocking write returns. */
#define PIECE_BYTES ((uint32_t)PIPE_BUF)

static int take(struct sink *sink, int fd, const char *name)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return -EINVAL;
	memset(sink, 0, sizeof(*sink));
	sink->fd = fd;
	sink->waits = !S_ISREG(st.st_mode) && !(flags & O_NONBLOCK);
	strncpy(sink->name, name, sizeof(sink->name) - 1);
	return 0;
}

int sink_open_file(struct sink *sink, int fd, const char *name)
{
	int err = take(sink, fd, name);

	if (err)
		close(fd);
	return err;
}

/* A writer that was killed may have left half a line. */
static bool ends_within_line(int dir_fd, const char *base)
{
	int fd = openat(dir_fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char last = '\n';

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    pread(fd, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

int sink_open_directory(struct sink *sink, int dir_fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	mode_t mask;
	int fd, err;

	if (base[0] == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EISDIR;
	/* Nonblocking, so that a named pipe without a reader is an error and not a wait. */
	mask = umask(0027);
	fd = openat(dir_fd, base,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	err = fd < 0 ? -errno : 0;
	umask(mask);
	if (!err)
		err = sink_open_file(sink, fd, path);
	if (!err)
		sink->torn = ends_within_line(dir_fd, base);
	return err;
}

void sink_close(struct sink *sink)
{
	close(sink->fd);
	sink->fd = -1;
}

char *sink_room(struct sink *sink, size_t *cap)
{
	if (sink->written || sink->mark_count == SINK_BATCH_RECORDS ||
	    sink->len + SINK_LINE_MAX + 1 > sizeof(sink->batch))
		return NULL;
	if (sink->torn && sink->len == 0)
		sink->batch[sink->len++] = '\n';
	*cap = sizeof(sink->batch) - sink->len;
	return sink->batch + sink->len;
}

void sink_put(struct sink *sink, size_t len, uint32_t type)
{
	sink->len += (uint32_t)len;
	sink->marks[sink->mark_count++] = (struct sink_mark){.end = sink->len, .type = type};
}

static int wait_for_room(const struct sink *sink, int wait_ms)
{
	struct pollfd room = {.fd = sink->fd, .events = POLLOUT};
	int n = poll(&room, 1, wait_ms);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	/* An error or a hang-up: write(2) says which. */
	return n == 0 ? -EAGAIN : 0;
}

int sink_write(struct sink *sink, int wait_ms, bool *progress)
{
	*progress = false;
	while (sink->written < sink->len) {
		uint32_t left = sink->len - sink->written;
		ssize_t n;
		int err = sink->waits ? wait_for_room(sink, wait_ms) : 0;

		if (err)
			return err;
		if (sink->waits && left > PIECE_BYTES)
			left = PIECE_BYTES;
		n = write(sink->fd, sink->batch + sink->written, left);
		if (n == 0)
			return -EIO;
		if (n > 0) {
			sink->written += (uint32_t)n;
			*progress = true;
		} else if (errno == EAGAIN) {
			err = wait_for_room(sink, wait_ms);
			if (err)
				return err;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void sink_settle(struct sink *sink, struct sink_tally *tally)
{
	memset(tally, 0, sizeof(*tally));
	tally->bytes = sink->written;
	for (uint32_t i = 0; i < sink->mark_count; i++) {
		const struct sink_mark *mark = &sink->marks[i];

		/* A line that lacks only its end is there: the next batch ends it. */
		if (mark->end <= sink->written + 1)
			tally->delivered[mark->type]++;
		else
			tally->dropped[mark->type]++;
	}
	if (sink->written)
		sink->torn = sink->batch[sink->written - 1] != '\n';
	sink->len = 0;
	sink->written = 0;
	sink->mark_count = 0;
}
