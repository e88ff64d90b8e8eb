/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and fds over a SOCK_SEQPACKET socket. Knows nothing of what is in a frame. */
#ifndef COMMON_CHAN_H
#define COMMON_CHAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * A connected socket pair, both ends close-on-exec and non-blocking.
 * Returns 0 or a negative errno; the caller owns both fds.
 */
int chan_pair(int fds[2]);

/*
 * Send one frame with fd_count fds (which stay the caller's), waiting at most wait_ms for room.
 * Returns 0, -EAGAIN if there was no room, -EPIPE if the other end is gone, another negative errno.
 */
int chan_send(int fd, const uint8_t *frame, size_t len, const int *fds, uint32_t fd_count,
	      int wait_ms);

/*
 * Receive one frame without blocking. fds must have room for PROTO_FDS_MAX; those received are
 * close-on-exec and become the caller's. Returns the length, 0 when the other end closed, -EAGAIN
 * when nothing is there, -EPROTO when the frame or its fds did not fit (received fds are closed),
 * another negative errno.
 */
int chan_recv(int fd, uint8_t *frame, size_t cap, int *fds, uint32_t *fd_count);

#endif
