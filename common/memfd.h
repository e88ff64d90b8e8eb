/* SPDX-License-Identifier: Apache-2.0 */
/* Large payloads: bytes in a memfd that nobody can change any more. */
#ifndef COMMON_MEMFD_H
#define COMMON_MEMFD_H

#include <stddef.h>
#include <stdint.h>

/* A sealed memfd with a copy of the bytes. Returns the fd (the caller's) or a negative errno. */
int memfd_seal(const char *name, const void *bytes, size_t len);

/*
 * Check, without reading it, that an fd from somebody else is a memfd of exactly len bytes that
 * nobody can change any more. Returns 0, -EPROTO if it isn't, another negative errno.
 */
int memfd_check(int fd, size_t len);

/*
 * Read a memfd that somebody else sent: refused unless it is sealed against writing and resizing
 * and holds exactly len bytes. *bytes is malloc'ed (the caller frees it) and has a NUL behind it.
 * Returns 0, -EPROTO if it isn't such a memfd, another negative errno.
 */
int memfd_read(int fd, size_t len, char **bytes);

#endif
