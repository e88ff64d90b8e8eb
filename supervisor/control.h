/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket. A client is asked by the kernel who it is, says what it wants in one
 * message, and is answered here (status) or handed to the exporter (list, tail).
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include "supervisor/supervisor.h"

#define CONTROL_DIR  "/run/conntrace"
#define CONTROL_PATH CONTROL_DIR "/control.sock"

/*
 * Choose the path and, if root, create CONTROL_DIR for the given ids. Returns 0, or a negative
 * errno after logging what is wrong.
 */
int control_prepare(struct supervisor *sup, uid_t uid, gid_t gid);

/* Go on with a socket that the conntraced before this one listens at; -1 = there is none. */
void control_inherit(struct supervisor *sup, int fd);

/*
 * Listen. Returns 0, or a negative errno after logging: -EADDRINUSE if somebody answers there.
 * A socket that nobody answers on any more is replaced.
 */
int control_open(struct supervisor *sup);

/* Stop listening, remove the socket, hang up on clients that haven't asked. */
void control_close(struct supervisor *sup);

/* Send one message of an answer without waiting. Returns 0 or a negative errno. */
int control_answer(int fd, enum msg_type type, const void *msg);

#endif
