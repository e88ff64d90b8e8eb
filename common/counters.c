/* SPDX-License-Identifier: Apache-2.0 */
#include "common/counters.h"

#include <string.h>

void counters_sum(const struct counters *slots, struct counters *sum)
{
	uint64_t *sums = (uint64_t *)sum;

	memset(sum, 0, sizeof(*sum));
	for (uint32_t slot = 0; slot < COUNTER_SLOTS; slot++) {
		const uint64_t *values = (const uint64_t *)&slots[slot];

		for (size_t i = 0; i < sizeof(*sum) / sizeof(*sums); i++)
			sums[i] += __atomic_load_n(&values[i], __ATOMIC_RELAXED);
	}
}
