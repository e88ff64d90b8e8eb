/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll; signals, timers and children come as fds (signalfd, timerfd, pidfd). No threads.
 * One event is handled at a time, so a handler may add and remove any source.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOURCES_MAX 64

/* events as epoll gives them. */
typedef void (*loop_handler)(void *ctx, uint32_t events);

struct loop_source {
	int fd; /* -1 = free */
	bool owned;
	loop_handler handler;
	void *ctx;
};

struct loop {
	int epoll_fd;
	bool stop;
	struct loop_source sources[LOOP_SOURCES_MAX];
};

/* Returns 0 or a negative errno. */
int loop_init(struct loop *loop);

/* Closes the epoll fd and the timers and signal fds the loop made; not the callers' own fds. */
void loop_fini(struct loop *loop);

/* Watch an fd, which stays the caller's. Returns 0, -ENOSPC when the table is full, an errno. */
int loop_add(struct loop *loop, int fd, uint32_t events, loop_handler handler, void *ctx);

/* Change the events watched for. */
int loop_change(struct loop *loop, int fd, uint32_t events);

/* Stop watching, before the caller closes the fd. Unknown fds are ignored. */
void loop_remove(struct loop *loop, int fd);

/*
 * A timer owned by the loop: after first_ms, then every interval_ms (0 = once). The handler must
 * call loop_timer_ack(). Returns the timer's fd or a negative errno.
 */
int loop_timer(struct loop *loop, uint32_t first_ms, uint32_t interval_ms, loop_handler handler,
	       void *ctx);

/* Set a timer anew; first_ms 0 disarms it. */
int loop_timer_set(int timer_fd, uint32_t first_ms, uint32_t interval_ms);

/* Take the expirations of a timer; returns how many, 0 if none. */
uint64_t loop_timer_ack(int timer_fd);

/* Block these signals and get them as events on an fd owned by the loop; returns the fd. */
int loop_signals(struct loop *loop, const sigset_t *signals, loop_handler handler, void *ctx);

/* Take one pending signal off the signal fd; 0 if there is none. */
int loop_signal_next(int signal_fd);

/* Handle events until loop->stop is set. Returns 0 or a negative errno. */
int loop_run(struct loop *loop);

/* Handle what is due, without waiting: from within a handler that takes long, and that is not
   called again by it. Returns 0 or a negative errno. */
int loop_run_due(struct loop *loop);

/* Milliseconds and nanoseconds of CLOCK_MONOTONIC. */
uint64_t loop_now_ms(void);
uint64_t loop_now_ns(void);

#endif
