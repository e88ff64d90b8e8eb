/* SPDX-License-Identifier: Apache-2.0 */
#include "record/clock.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TRIES          5
#define FAR_FUTURE_SEC 253402300800 /* the year 10000 */

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_offset_ns(void)
{
	int64_t narrowest = INT64_MAX, offset = 0;

	for (int i = 0; i < TRIES; i++) {
		int64_t before = now_ns(CLOCK_MONOTONIC);
		int64_t real = now_ns(CLOCK_REALTIME);
		int64_t width = now_ns(CLOCK_MONOTONIC) - before;

		if (width >= narrowest)
			continue;
		narrowest = width;
		offset = real - before - width / 2;
	}
	return offset;
}

int clock_watch(void)
{
	const struct itimerspec never = {.it_value = {.tv_sec = FAR_FUTURE_SEC}};
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

bool clock_was_set(int watch_fd)
{
	uint64_t count;

	return read(watch_fd, &count, sizeof(count)) < 0 && errno == ECANCELED;
}
