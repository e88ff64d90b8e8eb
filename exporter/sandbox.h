/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXPORTER_SANDBOX_H
#define EXPORTER_SANDBOX_H

/*
 * Give up everything that running on needs not: no file can be opened, no socket made, no process
 * touched. All that is needed must be open. Directories can be listed below cgroup_fd; -1: none.
 * Returns 0, or a negative errno with *what naming the part that failed.
 */
int sandbox_enter(int cgroup_fd, const char **what);

#endif
