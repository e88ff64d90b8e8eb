/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as JSON messages have it for bytes: RFC 4648, section 4, with padding, nothing else. */
#ifndef RC_BASE64_H
#define RC_BASE64_H

#include <stddef.h>
#include <stdint.h>

/*
 * Each sequence of bytes has exactly one text: no blanks, no missing padding, no bits beyond the
 * last byte. *bytes is malloc'ed (the caller frees it), with a NUL behind it that len does not
 * count. Returns 0, -EINVAL, -EFBIG for more than max_bytes, -ENOMEM.
 */
int base64_read(const char *text, size_t text_len, size_t max_bytes, char **bytes, size_t *len);

/* malloc'ed text, the caller's; NULL if there is no memory. */
char *base64_write(const uint8_t *bytes, size_t len);

#endif
