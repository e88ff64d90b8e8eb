/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* An allocation failed since it was last set to false: jansson's hooks get no context. */
static _Thread_local bool starved;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	starved = starved || !memory;
	return memory;
}

void tuf_json_init(void)
{
	json_set_alloc_funcs(allocate, free);
}

/* jansson calls itself for each level and allocates for each value, so both are counted before it
   sees the text. What is not JSON may be counted wrongly, and is refused by jansson. */
static enum tuf_result check_size(const char *text, size_t len, struct tuf_why *why)
{
	size_t depth = 0, values = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		values += c == '[' || c == '{' || c == ',' || c == ':';
		depth += c == '[' || c == '{';
		depth -= depth && (c == ']' || c == '}');
		if (depth > TUF_JSON_DEPTH_MAX)
			return tuf_refuse(why, TUF_MALFORMED, "nested deeper than %u levels",
					  TUF_JSON_DEPTH_MAX);
		if (values > TUF_JSON_VALUES_MAX)
			return tuf_refuse(why, TUF_MALFORMED, "more than %u values",
					  TUF_JSON_VALUES_MAX);
	}
	return TUF_OK;
}

static bool has_real(json_t *value)
{
	const char *name;
	json_t *inner;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, inner)
		{
			if (has_real(inner))
				return true;
		}
	}
	if (json_is_object(value)) {
		json_object_foreach(value, name, inner)
		{
			if (has_real(inner))
				return true;
		}
	}
	return json_is_real(value);
}

enum tuf_result tuf_json_parse(const void *bytes, size_t len, json_t **value, struct tuf_why *why)
{
	enum tuf_result result = check_size(bytes, len, why);
	json_error_t error;

	*value = NULL;
	if (result != TUF_OK)
		return result;
	starved = false;
	*value = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
	/* What it could not keep may be missing from a value that seems well. */
	if (starved) {
		json_decref(*value);
		*value = NULL;
		return tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	}
	if (!*value)
		return tuf_refuse(why, TUF_MALFORMED, "line %d: %s", error.line, error.text);
	if (json_is_object(*value) && !has_real(*value))
		return TUF_OK;
	result = tuf_refuse(why, TUF_MALFORMED, "%s",
			    json_is_object(*value) ? "a number that is no integer"
						   : "not an object");
	json_decref(*value);
	*value = NULL;
	return result;
}

const char *tuf_json_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

int tuf_json_integer(const json_t *object, const char *name, int64_t min, int64_t max,
		     int64_t *value)
{
	const json_t *member = json_object_get(object, name);

	*value = json_integer_value(member);
	return json_is_integer(member) && *value >= min && *value <= max ? 0 : -1;
}
