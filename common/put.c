/* SPDX-License-Identifier: Apache-2.0 */
#include "common/put.h"

#include <sys/capability.h>

void put_text(struct jsonbuf *json, const char *key, const char *text)
{
	jsonbuf_key(json, key);
	jsonbuf_string(json, text, SIZE_MAX);
}

void put_number(struct jsonbuf *json, const char *key, uint64_t number)
{
	jsonbuf_key(json, key);
	jsonbuf_u64(json, number);
}

void put_signed(struct jsonbuf *json, const char *key, int64_t number)
{
	jsonbuf_key(json, key);
	jsonbuf_i64(json, number);
}

void put_flag(struct jsonbuf *json, const char *key, bool flag)
{
	jsonbuf_key(json, key);
	jsonbuf_bool(json, flag);
}

void put_caps(struct jsonbuf *json, const char *key, uint64_t caps)
{
	jsonbuf_key(json, key);
	jsonbuf_open(json, '[');
	for (int cap = 0; cap < 64; cap++) {
		char *name = caps >> cap & 1 ? cap_to_name(cap) : NULL;

		if (name)
			jsonbuf_string(json, name, SIZE_MAX);
		if (name)
			cap_free(name);
	}
	jsonbuf_close(json, ']');
}
