/* SPDX-License-Identifier: Apache-2.0 */
#include "common/fnv.h"

uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}
