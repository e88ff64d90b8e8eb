/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source.h"

#include "common/fnv.h"

uint64_t source_look_hash(const struct source_look *look)
{
	uint64_t hash = fnv1a(FNV1A_START, &look->what, sizeof(look->what));

	return fnv1a(hash, look->bytes, look->len_bytes);
}
