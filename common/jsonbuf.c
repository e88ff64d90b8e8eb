/* SPDX-License-Identifier: Apache-2.0 */
#include "common/jsonbuf.h"

#include <string.h>

void jsonbuf_init(struct jsonbuf *json, char *out, size_t cap)
{
	*json = (struct jsonbuf){.out = out, .cap = cap};
}

static void put(struct jsonbuf *json, const char *bytes, size_t len)
{
	if (json->full || len > json->cap - json->len) {
		json->full = true;
		return;
	}
	memcpy(json->out + json->len, bytes, len);
	json->len += len;
}

static void put_comma(struct jsonbuf *json)
{
	if (json->comma)
		put(json, ",", 1);
	json->comma = true;
}

void jsonbuf_open(struct jsonbuf *json, char bracket)
{
	put_comma(json);
	put(json, &bracket, 1);
	json->comma = false;
}

void jsonbuf_close(struct jsonbuf *json, char bracket)
{
	put(json, &bracket, 1);
	json->comma = true;
}

void jsonbuf_key(struct jsonbuf *json, const char *key)
{
	put_comma(json);
	put(json, "\"", 1);
	put(json, key, strlen(key));
	put(json, "\":", 2);
	json->comma = false;
}

static void put_u64(struct jsonbuf *json, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(json, digits + at, sizeof(digits) - at);
}

void jsonbuf_u64(struct jsonbuf *json, uint64_t value)
{
	put_comma(json);
	put_u64(json, value);
}

void jsonbuf_i64(struct jsonbuf *json, int64_t value)
{
	put_comma(json);
	if (value < 0)
		put(json, "-", 1);
	put_u64(json, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void jsonbuf_bool(struct jsonbuf *json, bool value)
{
	put_comma(json);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

void jsonbuf_null(struct jsonbuf *json)
{
	put_comma(json);
	put(json, "null", 4);
}

/* Bytes of the UTF-8 sequence at text, 0 if it is none (RFC 3629: no overlong form, no surrogate).
 */
static size_t utf8_length(const unsigned char *text, size_t left)
{
	static const struct {
		unsigned char mask, lead, second_min, second_max;
		size_t len;
	} forms[] = {
		{0xe0, 0xc0, 0x80, 0xbf, 2}, {0xff, 0xe0, 0xa0, 0xbf, 3},
		{0xff, 0xed, 0x80, 0x9f, 3}, {0xf0, 0xe0, 0x80, 0xbf, 3},
		{0xff, 0xf0, 0x90, 0xbf, 4}, {0xff, 0xf4, 0x80, 0x8f, 4},
		{0xfc, 0xf0, 0x80, 0xbf, 4},
	};

	if (text[0] == 0xc0 || text[0] == 0xc1)
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((text[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (left < forms[i].len || text[1] < forms[i].second_min ||
		    text[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++)
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].len;
	}
	return 0;
}

static void put_escaped(struct jsonbuf *json, unsigned char byte)
{
	static const char hex[] = "0123456789abcdef";
	char escape[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

	put(json, escape, sizeof(escape));
}

void jsonbuf_string(struct jsonbuf *json, const char *text, size_t max)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strnlen(text, max);

	put_comma(json);
	put(json, "\"", 1);
	while (left) {
		size_t len = 1;

		if (*at == '"' || *at == '\\') {
			put(json, "\\", 1);
			put(json, (const char *)at, 1);
		} else if (*at >= 0x20 && *at < 0x7f) {
			put(json, (const char *)at, 1);
		} else if (*at >= 0x80 && utf8_length(at, left)) {
			len = utf8_length(at, left);
			put(json, (const char *)at, len);
		} else {
			put_escaped(json, *at);
		}
		at += len;
		left -= len;
	}
	put(json, "\"", 1);
}

void jsonbuf_newline(struct jsonbuf *json)
{
	put(json, "\n", 1);
	json->comma = false;
}
