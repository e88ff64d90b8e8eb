/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The children as processes: what a life asks for is done here, what happens to a process becomes
 * an event of its life, and what it says goes to the handlers of messages.c.
 */
#ifndef SUPERVISOR_CHILDREN_H
#define SUPERVISOR_CHILDREN_H

#include "supervisor/supervisor.h"

/* Idle lives, the timer for their deadlines. Returns 0 or a negative errno. */
int children_init(struct supervisor *sup);

/* Let something happen to a child, and do what its life asks for. */
void children_event(struct proc *proc, enum life_event event);

/*
 * Send a message; the fds stay the caller's. A child that can't take it is broken and is ended.
 * Returns 0 or a negative errno.
 */
int children_send(struct proc *proc, enum msg_type type, const void *msg, const int *fds,
		  uint32_t fd_count);

/* Note why a child is being ended; shown as how it ended. The first reason counts. */
void children_reason(struct proc *proc, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Begin the ordered stop: those who produce, then the probes, then the exporter, which drains. */
void children_stop(struct supervisor *sup, int exit_code);

/* End all children, but leave the probes attached: what happens meanwhile waits in the ring. */
void children_pause(struct supervisor *sup);
bool children_are_idle(const struct supervisor *sup);

/* Go on after children_pause(), when they are idle. */
void children_resume(struct supervisor *sup);

#endif
