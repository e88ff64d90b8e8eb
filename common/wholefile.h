/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are always whole: read within a limit, replaced in one step that a crash can't split.
 */
#ifndef COMMON_WHOLEFILE_H
#define COMMON_WHOLEFILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Read a regular file of a directory. *bytes is malloc'ed (the caller frees it) and has a NUL
 * behind it. Returns 0, -EFBIG if it has more than max_bytes, -EINVAL if it is no regular file,
 * another negative errno (-ENOENT). No link is followed.
 */
int wholefile_read(int dir_fd, const char *name, size_t max_bytes, char **bytes, size_t *len);

/*
 * Replace or create a file: written as ".NAME.tmp", to disk, renamed, the directory to disk. So
 * after a crash at any point there is the old file or the new one, and the next write clears up.
 * One writer at a time: the caller sees to that. Returns 0 or a negative errno; then the old file
 * is there as it was.
 */
int wholefile_write(int dir_fd, const char *name, const void *bytes, size_t len, mode_t mode);

#endif
