/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a received frame to its handler: is the type known, may this sender send it to us, in this
 * phase, with so many fds, of this size? Then unpack, then call.
 */
#ifndef COMMON_DISPATCH_H
#define COMMON_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"

/* The fds of a message. A handler that keeps one takes it with dispatch_take_fd(). */
struct dispatch_fds {
	int fds[PROTO_FDS_MAX];
	uint32_t count;
};

/*
 * Handles one message. Returns 0, or a negative errno if the message is to be treated as a
 * protocol violation of the sender.
 */
typedef int (*dispatch_handler)(void *ctx, const union msg *msg, struct dispatch_fds *fds);

/* Handlers by type; a NULL means that this process doesn't take the message. */
struct dispatch_table {
	enum role self;
	dispatch_handler handlers[MSG_TYPE_COUNT];
};

/* What a refused frame had wrong, for the log: filled by dispatch_frame() when it returns < 0. */
struct dispatch_error {
	const char *reason; /* constant */
	uint64_t type;      /* as claimed; 0 = could not be read */
};

/* A handler of what is of no concern here. */
int dispatch_ignore(void *ctx, const union msg *msg, struct dispatch_fds *fds);

/* The fd at index, which then is the caller's; -1 if it was taken before. */
int dispatch_take_fd(struct dispatch_fds *fds, uint32_t index);

/*
 * Check, unpack and handle one frame from a sender of the given role in the given phase. *room is
 * scratch space. fds that the handler did not take are closed, whatever happens.
 * Returns what the handler returned, or -EPROTO with *error filled when the frame is refused.
 */
int dispatch_frame(const struct dispatch_table *table, enum role from, enum phase phase,
		   const uint8_t *frame, size_t len, struct dispatch_fds *fds, union msg *room,
		   void *ctx, struct dispatch_error *error);

#endif
