/* SPDX-License-Identifier: Apache-2.0 */
/* State for the service manager: the datagrams of sd_notify(3), nothing if there is no manager. */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1 = not under a service manager */
	struct sockaddr_un addr;
	socklen_t addr_len;
	uint32_t watchdog_ms; /* how often WATCHDOG=1 is due; 0 = not wanted */
};

/* Take NOTIFY_SOCKET and WATCHDOG_USEC from the environment. Returns 0 or a negative errno. */
int notify_open(struct notify *notify);

/*
 * Send one state about the fd store, with an fd, which stays the caller's, or -1; waits a moment
 * for room. Returns 0 or a negative errno. Whether the manager keeps the fd is not known.
 */
int notify_store(const struct notify *notify, const char *state, int fd);

/* Send one state, such as "READY=1". What can't be sent is not worth failing for. */
void notify_send(const struct notify *notify, const char *state);

#endif
