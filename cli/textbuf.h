/* SPDX-License-Identifier: Apache-2.0 */
/* Text put together in a buffer of the caller's. */
#ifndef CLI_TEXTBUF_H
#define CLI_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>

/* Always terminated. What does not fit as a whole is left out, and full stays set. */
struct textbuf {
	char *out;
	size_t cap;
	size_t len;
	bool full;
};

void textbuf_add(struct textbuf *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
