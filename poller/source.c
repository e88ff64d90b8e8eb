/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source.h"

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t source_look_hash(const struct source_look *look)
{
	uint64_t hash = fnv1a(UINT64_C(0xcbf29ce484222325), &look->what, sizeof(look->what));

	return fnv1a(hash, look->bytes, look->len_bytes);
}
