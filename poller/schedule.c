/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/schedule.h"

#define ERRORS_MAX 32u /* beyond this the wait is at its cap for any interval */

void schedule_note(struct schedule *schedule, bool success)
{
	if (!success) {
		schedule->errors += schedule->errors < ERRORS_MAX ? 1 : 0;
		return;
	}
	schedule->succeeded = true;
	schedule->errors -= schedule->errors < 2 ? schedule->errors : 2;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The random number's place between two bounds, both included. */
static uint64_t between(uint64_t low, uint64_t high, uint32_t random)
{
	return low + (high - low) * random / UINT32_MAX;
}

uint32_t schedule_next_ms(const struct schedule *schedule, uint64_t random)
{
	uint64_t interval = schedule->interval_ms, cap, low, high;
	uint64_t next = between(interval - interval / 5, interval + interval / 5, (uint32_t)random);

	if (!schedule->succeeded)
		return SCHEDULE_FIRST_MS;
	if (schedule->errors) {
		cap = interval > SCHEDULE_CAP_MS ? interval : SCHEDULE_CAP_MS;
		low = lesser(interval << (schedule->errors - 1), cap);
		high = lesser(interval << schedule->errors, cap);
		next += between(low, high, (uint32_t)(random >> 32));
	}
	return next ? (uint32_t)lesser(next, UINT32_MAX) : 1;
}
