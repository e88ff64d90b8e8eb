/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of the control socket. */
#ifndef COMMON_CLIENT_H
#define COMMON_CLIENT_H

#include <stdint.h>
#include <sys/un.h>

#include "common/dispatch.h"
#include "common/msg.h"

#define CLIENT_SOCKET_DEFAULT "/run/conntrace/control.sock"
#define CLIENT_SOCKET_ENV     "CONNTRACE_SOCKET"
#define CLIENT_SOCKET_USER    "conntrace/control.sock" /* in $XDG_RUNTIME_DIR */

struct client {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* the last one tried */
	union msg room;
	uint8_t frame[PROTO_FRAME_MAX];
};

/*
 * Connect and ask. socket is the path of the control socket; NULL: $CONNTRACE_SOCKET, or else the
 * places where conntraced makes it. The struct is large: static. Returns 0 or a negative errno.
 */
int client_open(struct client *client, const char *socket, enum ask ask);
void client_close(struct client *client);

/* Tell the user why the command has no answer. */
void client_refused(const char *command, const struct msg_done *done);

/* Tell standard error why client_open() failed and what to do. */
void client_explain(const struct client *client, int err);

/* Likewise why client_next() ended with err (≤ 0) before all of an answer was there. */
void client_explain_end(const char *command, int err);

/*
 * Wait for one message and hand it to its handler. Returns 1, 0 when the other end has closed the
 * connection, -EAGAIN after timeout_ms, -EINTR after a signal, -EPROTO for anything unexpected,
 * another negative errno.
 */
int client_next(struct client *client, const struct dispatch_table *table, void *ctx,
		int timeout_ms);

#endif
