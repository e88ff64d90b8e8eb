/* SPDX-License-Identifier: Apache-2.0 */
/* A BPF object or BTF file: opened so that nobody but root can have written what is loaded. */
#ifndef LOADER_OBJECT_H
#define LOADER_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#define OBJECT_BYTES_MAX (4u << 20)

struct object {
	uint8_t *bytes; /* malloc'ed, the object's */
	size_t len;
	/*
	 * FNV-1a over the bytes, never 0: "is this the object those fds come from?". Root alone can
	 * write either object, so nobody gains from a collision and a cryptographic digest would
	 * add nothing.
	 */
	uint64_t identity;
};

/*
 * Read the file of that name in the directory: a regular file, no symbolic link, of root and root's
 * group, writable by nobody else, of at most that many bytes. What is checked is what is read: one
 * fd. Returns 0, or a negative errno with the reason and the remedy in why; -EPERM = not trusted.
 */
int object_open(struct object *object, int dir_fd, const char *name, size_t most, char *why,
		size_t cap);

/* Let the identity depend on these bytes, too. */
void object_mix(struct object *object, const void *bytes, size_t len);

/* Frees the bytes; the identity stays. */
void object_close(struct object *object);

#endif
