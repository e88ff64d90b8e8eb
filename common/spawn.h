/* SPDX-License-Identifier: Apache-2.0 */
/* Fork and execute one child: the channel on PROTO_CHILD_FD, the log on 2, nothing else open. */
#ifndef COMMON_SPAWN_H
#define COMMON_SPAWN_H

#include <sys/types.h>

struct spawned {
	pid_t pid;
	int pidfd;
	int channel; /* our end */
};

/*
 * A child's environment: JOURNAL_STREAM, and at most so many variables that it is said to need. A
 * value is cut to so many bytes: room for words and numbers, not for the secret in an address of
 * credentials.
 */
#define SPAWN_VARIABLES_MAX 15u
#define SPAWN_VALUE_MAX     31

/*
 * Execute the program of that name in the directory program_fd, which is close-on-exec and above
 * PROTO_CHILD_FD. variables: what it gets of our own environment, names with NULL behind the last;
 * or NULL. The caller owns what is in *spawned. Returns 0 or a negative errno; a program that can't
 * be executed exits with SPAWN_EXEC_FAILED.
 */
int spawn_child(int program_fd, const char *name, const char *const *variables,
		struct spawned *spawned);

/* The exit status of a child that couldn't execute its program. */
#define SPAWN_EXEC_FAILED 127

/* Dup the fd (which is closed) to a number of 10 or more, out of the way of the children's fixed
   fds. Returns the new fd, close-on-exec, or a negative errno. */
int spawn_move_fd(int fd);

#endif
