/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several files in one block of memory, one behind the other: each a head with two lengths, its
 * name with a NUL, its bytes. Both ends are processes of one host, so numbers are as they lie
 * there.
 *
 * What was fetched: "m/3.snapshot.json" for metadata, "t/group/web.yaml" for a target, by what is
 * behind the base URL. What is stored: by the names of the files.
 */
#ifndef COMMON_BUNDLE_H
#define COMMON_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#define BUNDLE_NAME_MAX 1032u /* NUL included */

/* Files in one, at most: the longest chain of roots, and room for all else. */
#define BUNDLE_FILES_MAX 640u

#define BUNDLE_METADATA "m/"
#define BUNDLE_TARGET   "t/"

/* Points into the bundle. */
struct bundle_entry {
	const char *name; /* not empty */
	const char *bytes;
	uint32_t len_bytes;
};

/*
 * The entry at *at, which goes on to the next. Returns 1, 0 at the end, -EPROTO if the bytes are no
 * bundle. Anything may be in them.
 */
int bundle_next(const char *bundle, size_t len, size_t *at, struct bundle_entry *entry);

/* A bundle that grows. Zeroed but for max_bytes it is empty. */
struct bundle {
	char *bytes; /* malloc'ed: bundle_free() */
	size_t len_bytes, cap_bytes;
	size_t max_bytes;
};

/* Add a copy. Returns 0, -EFBIG beyond max_bytes, -ENAMETOOLONG, -ENOMEM. */
int bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t len);
void bundle_free(struct bundle *bundle);

#endif
