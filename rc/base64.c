/* SPDX-License-Identifier: Apache-2.0 */
#include "rc/base64.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdlib.h>

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Digits of four, the last of them with padding in their place. Returns 0 or -EINVAL. */
static int read_four(const char *text, size_t padding, char *out)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - padding ? digit(text[i]) : 0;

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned int)value;
	}
	if (bits & ((1u << 8 * padding) - 1))
		return -EINVAL;
	for (size_t i = 0; i < 3 - padding; i++)
		out[i] = (char)(bits >> (16 - 8 * i) & 0xff);
	return 0;
}

static size_t count_padding(const char *text, size_t len)
{
	if (!len || text[len - 1] != '=')
		return 0;
	return text[len - 2] == '=' ? 2 : 1;
}

int base64_read(const char *text, size_t text_len, size_t max_bytes, char **bytes, size_t *len)
{
	size_t padding, size;
	int err = 0;

	*bytes = NULL;
	*len = 0;
	if (text_len % 4)
		return -EINVAL;
	padding = count_padding(text, text_len);
	size = text_len / 4 * 3 - padding;
	if (size > max_bytes)
		return -EFBIG;
	*bytes = malloc(size + 1);
	if (!*bytes)
		return -ENOMEM;
	for (size_t i = 0; i < text_len && !err; i += 4)
		err = read_four(text + i, i + 4 == text_len ? padding : 0, *bytes + i / 4 * 3);
	if (err) {
		free(*bytes);
		*bytes = NULL;
		return err;
	}
	(*bytes)[size] = '\0';
	*len = size;
	return 0;
}

char *base64_write(const uint8_t *bytes, size_t len)
{
	char *text = len < INT_MAX / 2 ? malloc((len + 2) / 3 * 4 + 1) : NULL;

	if (text) {
		text[0] = '\0';
		EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
	}
	return text;
}
