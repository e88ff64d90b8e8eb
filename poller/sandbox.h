/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLLER_SANDBOX_H
#define POLLER_SANDBOX_H

/*
 * From here on nothing but reading the source directory and the channel. what names the step that
 * failed. Returns 0 or a negative errno.
 */
int sandbox_enter(int dir_fd, const char **what);

#endif
