/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/walk.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"

/*
 * A read ends early when the ring is half full (bpf/snapshot.h) and after a million sockets
 * (bpf_seq_read()). The reader of the ring is at work: it is waited for, but not for ever.
 */
#define WAIT_MS  2
#define WAIT_MAX 500
_Static_assert(WAIT_MAX *WAIT_MS * 1000000ull > WALK_WAITS_NS, "walk: longer than it waits");

static int read_to_end(int fd)
{
	const struct timespec wait = {.tv_nsec = WAIT_MS * 1000000};
	char nothing[8];

	for (int i = 0; i < WAIT_MAX; i++) {
		ssize_t n = read(fd, nothing, sizeof(nothing));

		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		(void)nanosleep(&wait, NULL);
	}
	return -ENOBUFS;
}

static int walk_by(int link_fd)
{
	int fd = bpf_iter_create(link_fd);
	int err = fd < 0 ? -errno : read_to_end(fd);

	if (fd >= 0)
		close(fd);
	return err;
}

int walk_run(const int *link_fds, size_t count, struct walk_stats *stats)
{
	uint64_t begin_ns = loop_now_ns();
	bool walked = false;
	int err = 0;

	for (size_t i = 0; i < count && !err; i++) {
		if (link_fds[i] < 0)
			continue;
		err = walk_by(link_fds[i]);
		walked = true;
	}
	if (!walked)
		return 0;
	if (err) {
		stats->failed++;
		return err;
	}
	stats->walks++;
	stats->last_us = (loop_now_ns() - begin_ns) / 1000;
	if (stats->last_us > stats->longest_us)
		stats->longest_us = stats->last_us;
	return 0;
}

uint64_t walk_missed_runs(int prog_fd)
{
	struct bpf_prog_info info = {.type = 0};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) < 0 ? 0 : info.recursion_misses;
}
