/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every child of the supervisor does alike: distrust who started it, check its own
 * privileges, speak on its channel, show that it lives, stop when the channel closes.
 *
 *   child_init()   hardens the process, checks its privileges, sends HELLO       (phase ready)
 *   ...            the process takes CONFIG, START, ... in its handlers
 *   child_ready()  sends READY and begins to send HEALTH and STATS each second   (phase running)
 *   child_run()    handles events until the channel closes or child_fail()
 */
#ifndef COMMON_CHILD_H
#define COMMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/dispatch.h"
#include "common/loop.h"
#include "common/msg.h"

/* Seconds between two signs of life are one; the supervisor waits CHILD_SILENCE_MS for one. */
#define CHILD_HEALTH_MS  1000u
#define CHILD_SILENCE_MS 5000u

struct child {
	enum role role;
	enum phase phase;
	struct loop loop;
	const struct dispatch_table *table;
	void *ctx; /* for the handlers and hooks */

	/* Hooks, may be NULL: fill stats just before they are sent; end work in order. */
	void (*on_stats)(void *ctx, struct msg_stats *stats);
	void (*on_stop)(void *ctx);

	int channel;
	int exit_code;
	uint64_t health_count;
	union msg room;
	uint8_t frame[PROTO_FRAME_MAX];
};

/*
 * First call of main(). Clears the environment, resets signals, umask and limits, sets dumpable 0
 * and the parent-death signal, opens fds 0 to 2 if they are closed and closes all but the channel;
 * refuses capabilities beyond `allowed` (PRIVS_CAP bits) and root; then says HELLO. The struct is
 * large: static. Exits the process with a message if it can't even speak (no channel), else
 * returns 0, or a negative errno after child_fail().
 */
int child_init(struct child *child, enum role role, const struct dispatch_table *table, void *ctx,
	       uint64_t allowed_caps);

/* Send a message to the supervisor; the fds stay the caller's. Returns 0 or a negative errno. */
int child_send(struct child *child, enum msg_type type, const void *msg, const int *fds,
	       uint32_t fd_count);

/* READY, and HEALTH and STATS from now on. Returns 0 or a negative errno. */
int child_ready(struct child *child);

/*
 * In the middle of work that takes longer than a second: signs of life, and what the supervisor has
 * sent. The handler at work must be the only one that calls it. Returns false if the process is to
 * end.
 */
bool child_breathe(struct child *child);

/* Until the end; returns the exit code for main(). */
int child_run(struct child *child);

/*
 * Tell the supervisor and the log why this process can't go on, and end child_run() with exit_code
 * (sysexits.h). permanent: trying again without a change cannot help.
 */
void child_fail(struct child *child, int permanent, int exit_code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
