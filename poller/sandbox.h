/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLLER_SANDBOX_H
#define POLLER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/landlock.h"

#define SANDBOX_ROOMS_MAX 8u
#define SANDBOX_PORTS_MAX 4u

/* What a source needs besides the channel. */
struct sandbox_needs {
	struct landlock_room rooms[SANDBOX_ROOMS_MAX]; /* for reading; the fds stay the source's */
	uint32_t room_count;
	bool network;                      /* TCP to these ports, and names looked up */
	bool unix_socket;                  /* to sockets of this host */
	uint16_t ports[SANDBOX_PORTS_MAX]; /* kept to where Landlock has ABI 4 */
	uint32_t port_count;
};

/*
 * From here on nothing but what the source needs, and the channel. what names the step that failed.
 * Returns 0 or a negative errno.
 */
int sandbox_enter(const struct sandbox_needs *needs, const char **what);

#endif
