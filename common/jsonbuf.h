/* SPDX-License-Identifier: Apache-2.0 */
/* JSON into a buffer of the caller's, without allocation. Commas come by themselves. */
#ifndef COMMON_JSONBUF_H
#define COMMON_JSONBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once something didn't fit, full stays set and nothing more is put. */
struct jsonbuf {
	char *out;
	size_t cap;
	size_t len;
	bool comma; /* one is due before the next key or value */
	bool full;
};

void jsonbuf_init(struct jsonbuf *json, char *out, size_t cap);

/* '{' '}' '[' ']' */
void jsonbuf_open(struct jsonbuf *json, char bracket);
void jsonbuf_close(struct jsonbuf *json, char bracket);

/* key must need no escaping. */
void jsonbuf_key(struct jsonbuf *json, const char *key);

void jsonbuf_u64(struct jsonbuf *json, uint64_t value);
void jsonbuf_i64(struct jsonbuf *json, int64_t value);
void jsonbuf_bool(struct jsonbuf *json, bool value);
void jsonbuf_null(struct jsonbuf *json);

/*
 * text up to its NUL or max bytes. Quotes, backslashes and control characters are escaped, UTF-8 is
 * taken over, and a byte that isn't part of valid UTF-8 becomes \u00XX.
 */
void jsonbuf_string(struct jsonbuf *json, const char *text, size_t max);

/* A newline after the outermost value. */
void jsonbuf_newline(struct jsonbuf *json);

#endif
