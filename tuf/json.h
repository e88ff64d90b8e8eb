/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as signed metadata has it: what could be read in two ways is refused, sizes are bounded, and
 * every value has exactly one canonical form (OLPC canonical JSON), which is what is signed.
 */
#ifndef TUF_JSON_H
#define TUF_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "tuf/result.h"

#define TUF_JSON_DEPTH_MAX 16u
#define TUF_JSON_VALUES_MAX \
	32768u /* values and names of members, about: memory is bounded by it \
		*/

/*
 * Once in a process, before anything else: jansson's own word on whether it ran out of memory can't
 * be relied on, so its allocations are watched.
 */
void tuf_json_init(void);

/*
 * Read an object. Refused as malformed: anything else at the top, duplicate names, numbers that are
 * no integers or beyond 64 bits, U+0000, lone surrogates, invalid UTF-8, bytes after the end, more
 * than the limits above. *value is the caller's (json_decref). Strings hold no NUL.
 */
enum tuf_result tuf_json_parse(const void *bytes, size_t len, json_t **value, struct tuf_why *why);

/*
 * The canonical form: members sorted by code point, no blanks, in strings only the quote and the
 * backslash escaped, control characters as they are. *bytes is malloc'ed (the caller frees it).
 * Returns 0, -EINVAL for a number that is no integer, -ENOMEM.
 */
int tuf_json_canonical(const json_t *value, char **bytes, size_t *len);

/* The text of a member, NULL if there is none that is a text. Lives as long as object. */
const char *tuf_json_text(const json_t *object, const char *name);

/* An integer member. Returns 0, or -1 if there is none or it is out of the range. */
int tuf_json_integer(const json_t *object, const char *name, int64_t min, int64_t max,
		     int64_t *value);

#endif
