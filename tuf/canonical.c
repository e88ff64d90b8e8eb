/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"

/* Bytes so far; after an error no more are put. */
struct text {
	char *bytes;
	size_t len, cap;
	int err;
};

static void put(struct text *text, const char *bytes, size_t len)
{
	if (!text->err && len > text->cap - text->len) {
		size_t cap = (text->cap + len) * 2;
		char *more = realloc(text->bytes, cap);

		if (more) {
			text->bytes = more;
			text->cap = cap;
		} else {
			text->err = -ENOMEM;
		}
	}
	if (text->err || !len)
		return;
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void put_word(struct text *text, const char *word)
{
	put(text, word, strlen(word));
}

static void put_string(struct text *text, const char *string)
{
	put(text, "\"", 1);
	while (*string) {
		size_t plain = strcspn(string, "\"\\");

		put(text, string, plain);
		string += plain;
		if (*string) {
			put(text, "\\", 1);
			put(text, string++, 1);
		}
	}
	put(text, "\"", 1);
}

static void put_integer(struct text *text, json_int_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, number);
	put_word(text, digits);
}

static void put_value(struct text *text, const json_t *value);

static void put_array(struct text *text, const json_t *array)
{
	put(text, "[", 1);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			put(text, ",", 1);
		put_value(text, json_array_get(array, i));
	}
	put(text, "]", 1);
}

/* strcmp() compares bytes without sign: of UTF-8 that is the order of code points. */
static int by_code_point(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_object(struct text *text, json_t *object)
{
	size_t count = json_object_size(object), i = 0;
	const char **names = calloc(count + 1, sizeof(*names));
	void *at;

	if (!names) {
		text->err = -ENOMEM;
		return;
	}
	for (at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		names[i++] = json_object_iter_key(at);
	qsort(names, count, sizeof(*names), by_code_point);
	put(text, "{", 1);
	for (i = 0; i < count; i++) {
		if (i)
			put(text, ",", 1);
		put_string(text, names[i]);
		put(text, ":", 1);
		put_value(text, json_object_get(object, names[i]));
	}
	put(text, "}", 1);
	free(names);
}

static void put_value(struct text *text, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		/* Its iterator wants to be able to write. */
		put_object(text, (json_t *)(uintptr_t)value);
		break;
	case JSON_ARRAY:
		put_array(text, value);
		break;
	case JSON_STRING:
		put_string(text, json_string_value(value));
		break;
	case JSON_INTEGER:
		put_integer(text, json_integer_value(value));
		break;
	case JSON_TRUE:
		put_word(text, "true");
		break;
	case JSON_FALSE:
		put_word(text, "false");
		break;
	case JSON_NULL:
		put_word(text, "null");
		break;
	case JSON_REAL:
		text->err = -EINVAL;
		break;
	}
}

int tuf_json_canonical(const json_t *value, char **bytes, size_t *len)
{
	struct text text = {.bytes = NULL};

	put_value(&text, value);
	*bytes = NULL;
	*len = 0;
	if (text.err) {
		free(text.bytes);
		return text.err;
	}
	*bytes = text.bytes;
	*len = text.len;
	return 0;
}
