/* SPDX-License-Identifier: Apache-2.0 */
/* The directory source: all *.yaml of one directory, in the order of their names. */
#ifndef POLLER_SOURCE_DIR_H
#define POLLER_SOURCE_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "common/msg.h"
#include "poller/source.h"

/* Bytes of all files: the local one, which is checked together with them, has its room, too. */
#define SOURCE_BYTES_MAX (CONFIG_TEXTS_MAX - CONFIG_TEXT_MAX)

/* Entries of any name that are looked at. */
#define SOURCE_ENTRIES_MAX 4096u

/* What was read: the texts one behind the other. Large: static. */
struct source_texts {
	struct msg_candidate what;
	size_t len_bytes;
	char bytes[SOURCE_BYTES_MAX];
};

/*
 * Read the directory, which stays the caller's. It and its files must belong to root or to this
 * process's user and be writable by nobody else; hidden files and other names are passed over.
 * Returns 0, or a negative errno with the file and the remedy in why.
 */
int source_dir_read(int dir_fd, struct source_texts *texts, char *why, size_t cap);

/* The same behind the poller's interface. */
extern const struct source source_dir;

#endif
