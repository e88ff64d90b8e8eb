/* SPDX-License-Identifier: Apache-2.0 */
/* Where the cgroup (v2) tree is mounted. */
#ifndef COMMON_CGROUPFS_H
#define COMMON_CGROUPFS_H

/*
 * Its root, as this process sees it: /sys/fs/cgroup, or unified in there beside the controllers of
 * version 1. Returns an O_PATH fd, the caller's; -ENODEV if it is mounted at neither place.
 */
int cgroupfs_open(void);

#endif
