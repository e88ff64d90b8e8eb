/* SPDX-License-Identifier: Apache-2.0 */
/* What this process may still do once the programs are attached. */
#ifndef LOADER_SANDBOX_H
#define LOADER_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* What the loader needs to load and attach, and all it may ever have. */
extern const uint64_t sandbox_caps_needed;
extern const uint64_t sandbox_caps_allowed;

/*
 * Whether the needed capabilities are permitted; makes them effective, and gives up all others but
 * those to keep. Returns 0, or a negative errno with the reason and the remedy in why; -EPERM =
 * they are not there.
 */
int sandbox_raise(uint64_t keep, char *why, size_t cap);

/*
 * Make one that was kept effective, too, for a while. Returns 0 or a negative errno, -EPERM = it is
 * not permitted.
 */
int sandbox_raise_kept(uint64_t kept);

/* Give up what was kept, for good. Returns 0 or a negative errno. */
int sandbox_drop_kept(void);

/*
 * Give up what the kernel allows, for good (no_new_privs): everything, if there is no link of an
 * iterator (-1) or one can be created from it without; else all but CAP_BPF. *left is what stays,
 * read back from the process. Returns 0 or a negative errno, -EPERM if something did not go.
 */
int sandbox_drop(int iter_link_fd, uint64_t *left);

/*
 * No file (Landlock, where the kernel has it), and only the system calls of a
 * loader at work. *landlock_abi is 0 without Landlock. Returns 0 or a negative errno.
 */
int sandbox_enter(int *landlock_abi);

#endif
