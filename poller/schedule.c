/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/schedule.h"

#define ERRORS_MAX 32u /* a shift by so many is defined */

static uint64_t lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The longest back-off. */
static uint64_t cap_ms(const struct schedule *schedule)
{
	uint64_t interval = schedule->interval_ms;

	return interval > SCHEDULE_CAP_MS ? interval : SCHEDULE_CAP_MS;
}

/* The least back-off after so many errors. */
static uint64_t low_ms(const struct schedule *schedule)
{
	uint64_t interval = schedule->interval_ms;

	return schedule->errors ? lesser(interval << (schedule->errors - 1), cap_ms(schedule)) : 0;
}

void schedule_note(struct schedule *schedule, bool success)
{
	if (success) {
		schedule->succeeded = true;
		schedule->errors -= schedule->errors < 2 ? schedule->errors : 2;
		return;
	}
	/* One more that lengthened no wait would only lengthen the way back, long after all is
	 * well. */
	if (schedule->succeeded && schedule->errors < ERRORS_MAX &&
	    low_ms(schedule) < cap_ms(schedule))
		schedule->errors++;
}

/* The random number's place between two bounds, both included. */
static uint64_t between(uint64_t low, uint64_t high, uint32_t random)
{
	return low + (high - low) * random / UINT32_MAX;
}

uint32_t schedule_next_ms(const struct schedule *schedule, uint64_t random)
{
	uint64_t interval = schedule->interval_ms, high;
	uint64_t next = between(interval - interval / 5, interval + interval / 5, (uint32_t)random);

	if (!schedule->succeeded)
		return SCHEDULE_FIRST_MS;
	if (schedule->errors) {
		high = lesser(interval << schedule->errors, cap_ms(schedule));
		next += between(low_ms(schedule), high, (uint32_t)(random >> 32));
	}
	return next ? (uint32_t)lesser(next, UINT32_MAX) : 1;
}
