/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the protocol: what rc.c, apply.c, answer.c and request.c share. */
#ifndef RC_STATE_H
#define RC_STATE_H

#include "rc/rc.h"
#include "tuf/metadata.h"

/* How repositories of this protocol differ from the specification. */
#define RC_LENIENCE (TUF_ANY_KEYID | TUF_ANY_FRACTION)

/* Bytes of a file, malloc'ed, with a NUL behind them. */
struct bytes {
	char *bytes;
	size_t len;
};

/* What is in force, or shall be. */
struct set {
	struct tuf_metadata root; /* the newest; whole is NULL: not there */
	struct tuf_metadata targets;
	struct bytes targets_bytes;
	struct rc_file files[RC_FILES_MAX]; /* by path */
	size_t count;
	size_t bytes; /* of all files */
};

struct rc {
	struct rc_options options;
	struct rc_floor floor;
	struct set *set;
	struct bytes roots[1 + TUF_ROOTS_MAX]; /* one version after the other */
	size_t root_count;
	uint32_t changed;
	bool has_error;
	char error[RC_ERROR_MAX];
};

/* A copy of bytes with a NUL behind it; NULL if there is no memory. */
char *state_copy(const void *bytes, size_t len);

/* Add a root behind the others. Returns 0 or -ENOMEM; there must be room. */
int state_add_root(struct rc *rc, const void *bytes, size_t len);

/* Forget roots beyond count. */
void state_cut_roots(struct rc *rc, size_t count);

/* Free what a set holds, and itself. */
void state_free_set(struct set *set);

/* Write a text that may be cut anywhere, or hold anything, as one that JSON takes. */
void state_put_text(char out[RC_ERROR_MAX], const char *text);

/* The one with a path, NULL if there is none. */
const struct rc_blob *state_find_blob(const struct rc_blob *blobs, size_t count, const char *path);

/* What the repository wants to be told with each request; "" if nothing. */
const char *state_backend(const struct set *set);

/* The index of a product that is asked for, -1 if it isn't. */
int state_product(const struct rc *rc, const char *product);

#endif
