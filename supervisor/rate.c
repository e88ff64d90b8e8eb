/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rate.h"

#define UNIT 1000u /* thousandths; RATE_PER_S of them are added in each millisecond */

void rate_init(struct rate *rate, uint64_t now_ms)
{
	*rate = (struct rate){.filled_ms = now_ms, .fill = (uint64_t)RATE_BURST * UNIT};
}

bool rate_take(struct rate *rate, uint64_t now_ms)
{
	const uint64_t most = (uint64_t)RATE_BURST * UNIT;
	uint64_t passed_ms = now_ms - rate->filled_ms;

	/* More would fill it anyway, and must not wrap around. */
	if (passed_ms > most / RATE_PER_S)
		passed_ms = most / RATE_PER_S;
	rate->fill += passed_ms * RATE_PER_S;
	if (rate->fill > most)
		rate->fill = most;
	rate->filled_ms = now_ms;
	if (rate->fill < UNIT)
		return false;
	rate->fill -= UNIT;
	return true;
}
