/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON and its canonical form: what is taken has one, and that, read again, has the same. It
 * is not JSON itself where a text holds control characters, which are escaped first.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *escape_controls(const char *bytes, size_t len)
{
	char *text = malloc(6 * len + 1), *at = text;

	if (!text)
		abort();
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)bytes[i] < 0x20)
			at += sprintf(at, "\\u%04x", (unsigned char)bytes[i]);
		else
			*at++ = bytes[i];
	}
	*at = '\0';
	return text;
}

/* Blanks stand in texts only. */
static void check_blanks(const char *bytes, size_t len)
{
	int in_text = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_text && bytes[i] == '\\')
			i++;
		else if (bytes[i] == '"')
			in_text = !in_text;
		else if (!in_text && (unsigned char)bytes[i] <= ' ')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tuf_why why;
	json_t *value, *again;
	char *bytes, *same, *text;
	size_t len, same_len;

	if (tuf_json_parse(data, size, &value, &why) != TUF_OK) {
		if (value || !why.text[0])
			abort();
		return 0;
	}
	if (tuf_json_canonical(value, &bytes, &len) < 0)
		abort();
	check_blanks(bytes, len);
	text = escape_controls(bytes, len);
	if (tuf_json_parse(text, strlen(text), &again, &why) != TUF_OK)
		abort();
	if (tuf_json_canonical(again, &same, &same_len) < 0 || same_len != len ||
	    memcmp(same, bytes, len) != 0)
		abort();
	json_decref(value);
	json_decref(again);
	free(text);
	free(bytes);
	free(same);
	return 0;
}
