/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fds that are open when conntraced begins, with a name each: from the service manager's fd store
 * (sd_listen_fds(3)), or from the conntraced that executed this one.
 */
#ifndef SUPERVISOR_INHERIT_H
#define SUPERVISOR_INHERIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/proto.h"

/* Two tracers with a manifest each (one may be on its way out), and a few of our own. */
#define INHERIT_MAX      (2u * (PROTO_FDS_MAX + 1) + 8u)
#define INHERIT_NAME_MAX 40u /* with its NUL; a longer name is none of ours */

/* "NUMBER:NAME,NUMBER:NAME ...": what a conntraced leaves to the one that it executes. */
#define INHERIT_VARIABLE "CONNTRACED_FDS"

struct inherited_fd {
	int fd; /* -1 = taken */
	char name[INHERIT_NAME_MAX];
};

struct inherited {
	uint32_t count;
	struct inherited_fd fds[INHERIT_MAX];
};

/*
 * What the service manager says of its fds: the values of LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES
 * (any may be NULL), and our pid. Fills in numbers and names; no fd is touched. Returns 0, also
 * when they are not for us; -EINVAL if they contradict each other, -E2BIG if they are too many;
 * *last is then and else the last fd that is inherited, 2 = none.
 */
int inherit_parse_store(const char *pid_text, const char *count_text, const char *names, pid_t pid,
			struct inherited *inherited, int *last);

/* The same of INHERIT_VARIABLE's value: -EINVAL unless it is a list as above of different fds. */
int inherit_parse_carried(const char *text, struct inherited *inherited);

/*
 * Take what was left to this process: afterwards each fd is close-on-exec and above the children's
 * fixed ones, and the variables are gone. What can't be right is closed and told the log. Call it
 * before anything else is opened. with_carried: believe INHERIT_VARIABLE, too.
 */
void inherit_take(struct inherited *inherited, bool with_carried);

/* The fd of that name, which then is the caller's; -1 = there is none. */
int inherit_fd(struct inherited *inherited, const char *name);

/* Close what nobody took. */
void inherit_close(struct inherited *inherited);

/* One more on a list of what is left to the next; the fd stays the caller's. 0 or -ENOSPC. */
int inherit_add(struct inherited *list, const char *name, int fd);

/* The value of INHERIT_VARIABLE for that list. Returns 0 or -ENOSPC. */
int inherit_text(const struct inherited *list, char *text, size_t cap);

/* Whether the fds stay open over an exec. Returns 0 or a negative errno. */
int inherit_pass(const struct inherited *list, bool on);

#endif
