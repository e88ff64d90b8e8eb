/* SPDX-License-Identifier: Apache-2.0 */
#include "common/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int loop_init(struct loop *loop)
{
	memset(loop, 0, sizeof(*loop));
	for (int i = 0; i < LOOP_SOURCES_MAX; i++)
		loop->sources[i].fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

void loop_fini(struct loop *loop)
{
	for (int i = 0; i < LOOP_SOURCES_MAX; i++)
		if (loop->sources[i].fd >= 0 && loop->sources[i].owned)
			close(loop->sources[i].fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

static struct loop_source *source_find(struct loop *loop, int fd)
{
	for (int i = 0; i < LOOP_SOURCES_MAX; i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

static int source_control(struct loop *loop, int op, const struct loop_source *source,
			  uint32_t events)
{
	struct epoll_event event = {.events = events};

	event.data.u32 = (uint32_t)(source - loop->sources);
	return epoll_ctl(loop->epoll_fd, op, source->fd, &event) < 0 ? -errno : 0;
}

static int source_add(struct loop *loop, int fd, uint32_t events, loop_handler handler, void *ctx,
		      bool owned)
{
	struct loop_source *source = source_find(loop, -1);
	int err;

	if (!source)
		return -ENOSPC;
	*source = (struct loop_source){.fd = fd, .owned = owned, .handler = handler, .ctx = ctx};
	err = source_control(loop, EPOLL_CTL_ADD, source, events);
	if (err)
		source->fd = -1;
	return err;
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler handler, void *ctx)
{
	return fd < 0 ? -EBADF : source_add(loop, fd, events, handler, ctx, false);
}

int loop_change(struct loop *loop, int fd, uint32_t events)
{
	struct loop_source *source = fd < 0 ? NULL : source_find(loop, fd);

	return source ? source_control(loop, EPOLL_CTL_MOD, source, events) : -ENOENT;
}

void loop_remove(struct loop *loop, int fd)
{
	struct loop_source *source = fd < 0 ? NULL : source_find(loop, fd);

	if (!source)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	if (source->owned)
		close(fd);
	source->fd = -1;
}

static struct timespec from_ms(uint32_t ms)
{
	return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
}

int loop_timer_set(int timer_fd, uint32_t first_ms, uint32_t interval_ms)
{
	struct itimerspec spec = {.it_value = from_ms(first_ms),
				  .it_interval = from_ms(interval_ms)};

	return timerfd_settime(timer_fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

int loop_timer(struct loop *loop, uint32_t first_ms, uint32_t interval_ms, loop_handler handler,
	       void *ctx)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	err = loop_timer_set(fd, first_ms, interval_ms);
	if (!err)
		err = source_add(loop, fd, EPOLLIN, handler, ctx, true);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

uint64_t loop_timer_ack(int timer_fd)
{
	uint64_t count = 0;

	return read(timer_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

int loop_signals(struct loop *loop, const sigset_t *signals, loop_handler handler, void *ctx)
{
	int fd, err;

	if (sigprocmask(SIG_BLOCK, signals, NULL) < 0)
		return -errno;
	fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = source_add(loop, fd, EPOLLIN, handler, ctx, true);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int loop_signal_next(int signal_fd)
{
	struct signalfd_siginfo info;

	return read(signal_fd, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

/* Returns 1 if there was an event to handle, 0 if not, or a negative errno. */
static int handle_one(struct loop *loop, int wait_ms)
{
	struct epoll_event event;
	int n = epoll_wait(loop->epoll_fd, &event, 1, wait_ms);
	struct loop_source *source;

	if (n < 0 && errno != EINTR)
		return -errno;
	if (n <= 0)
		return 0;
	source = &loop->sources[event.data.u32];
	source->handler(source->ctx, event.events);
	return 1;
}

int loop_run(struct loop *loop)
{
	int n = 0;

	while (!loop->stop && n >= 0)
		n = handle_one(loop, -1);
	return n < 0 ? n : 0;
}

int loop_run_due(struct loop *loop)
{
	int n = 1;

	/* One turn for each source: whoever is always due must not keep its caller from going on.
	 */
	for (int i = 0; i < LOOP_SOURCES_MAX && n > 0 && !loop->stop; i++)
		n = handle_one(loop, 0);
	return n < 0 ? n : 0;
}

uint64_t loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t loop_now_ms(void)
{
	return loop_now_ns() / 1000000u;
}
