/* SPDX-License-Identifier: Apache-2.0 */
/* Shutting the file system but for named directories; landlock(7). */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A directory (or file) that stays open to the process, by an fd of it. */
struct landlock_room {
	int fd;
	bool write; /* else only reading */
	bool names; /* not even that: only what directories hold */
};

/* The kernel's ABI (≥ 1), 0 if it has no Landlock, or a negative errno. */
int landlock_abi(void);

/*
 * Set no_new_privs and deny every file access outside the rooms; with abi ≥ 4 also TCP bind, and
 * connect but to these ports. Returns the ABI that is in force (≥ 1), 0 if the kernel has no
 * Landlock, or a negative errno.
 */
int landlock_apply(const struct landlock_room *rooms, size_t count, const uint16_t *ports,
		   size_t port_count);

#endif
