/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of /proc and /sys. */
#ifndef LOADER_PROCFS_H
#define LOADER_PROCFS_H

#include <stddef.h>
#include <stdint.h>

/* The beginning of a file, NUL-terminated; "" if it can't be read. */
void procfs_text(const char *path, char *text, size_t cap);

/* The number that a file begins with; -1 if it can't be read or begins with none. */
int32_t procfs_number(const char *path);

#endif
