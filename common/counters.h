/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's counters, mapped into memory, to add up. */
#ifndef COMMON_COUNTERS_H
#define COMMON_COUNTERS_H

#include "bpf/event.h"

/* Add up COUNTER_SLOTS slots. Each counter only ever grows, from one call to the next, too. */
void counters_sum(const struct counters *slots, struct counters *sum);

/* Connections and UDP flows that began and have not ended, by such a sum. */
static inline uint64_t counters_live(const struct counters *sum)
{
	return sum->opened_connect + sum->opened_accept + sum->opened_seeded + sum->opened_partial +
	       sum->opened_flow - sum->closed;
}

#endif
