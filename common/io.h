/* SPDX-License-Identifier: Apache-2.0 */
/* What read(2) and write(2) leave to their callers. */
#ifndef COMMON_IO_H
#define COMMON_IO_H

#include <stddef.h>

/* Write all of it, however often that takes. For fds that block. Returns 0 or a negative errno. */
int io_write_all(int fd, const void *bytes, size_t len);

#endif
