/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of signed configuration: metadata as they came, the history of roots, targets, which
 * of them are in force. Names and bytes come from a verifier; none of it is parsed here, and at the
 * next start a verifier reads it as it reads what comes from outside.
 *
 * It is held in memory and copied to a directory of its own, mode 0700: without one, or with one
 * that can't be written, all goes on until the process ends, and `trouble` says what is wrong. Each
 * file is replaced in one step. "active", which names the set in force, is written last, and only
 * after it what it doesn't name is removed; so a crash at any point leaves this set or the one
 * before it whole.
 */
#ifndef SUPERVISOR_STORE_H
#define SUPERVISOR_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bundle.h"
#include "common/msg.h"

/* Not more than a verifier reads. */
#define STORE_FILES_MAX BUNDLE_FILES_MAX

/* Its folder in the state directory. */
#define STORE_FOLDER "remote"

struct store_file {
	char name[MSG_FILE_NAME_MAX];
	char *bytes; /* malloc'ed */
	uint32_t len_bytes;
	uint32_t why;  /* enum msg_file_why since store_begin(), or-ed; 0: it was not named */
	bool written;  /* it is on disk */
	bool accepted; /* of the set that was accepted last, but is not in force for good */
};

/* Large: static. */
struct store {
	int dir_fd; /* -1 = only in memory */
	uint32_t count;
	struct store_file files[STORE_FILES_MAX];
	size_t len_bytes; /* of all */
	char trouble[MSG_TEXT_MAX];
};

/*
 * Open the store below a state directory (NULL: there is none), for a root: the file that was
 * installed. What was stored for another root is thrown away. Works without a directory, and then
 * says why.
 */
void store_open(struct store *store, const char *state_dir, const char *root, size_t root_len);

/* Forget all, and close the directory. Nothing is removed from it. */
void store_close(struct store *store);

/* Whether there is a set in force. */
bool store_has_set(const struct store *store);

/* All files as a bundle in a sealed memfd, and its length. Returns the fd or a negative errno. */
int store_memfd(const struct store *store, uint32_t *len_bytes);

/* A verifier's KEEPs: begin, each file, commit or not at all. */
void store_begin(struct store *store);

/*
 * Take a file, whose bytes are in a memfd that a poller sent (of size bundle_len). Returns 0,
 * -EPROTO if the verifier can't mean that, -ENOSPC, -ENOMEM or another errno.
 */
int store_keep(struct store *store, const struct msg_file *file, int bundle_fd,
	       uint32_t bundle_len);

/*
 * The end: what was not named is gone, floor replaces the file of that name unless it is "".
 * accepted: what was named as new is now the set that store_enforce() puts in force.
 */
void store_commit(struct store *store, const char *floor, bool accepted);

/* The set that was accepted last is in force for good; or it is not to be. */
void store_enforce(struct store *store);
void store_withdraw(struct store *store);

#endif
