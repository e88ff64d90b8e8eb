/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to poll next: a pure function of what happened and a random number, so that a fleet doesn't
 * arrive at once and a source that fails is left in peace.
 */
#ifndef POLLER_SCHEDULE_H
#define POLLER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_FIRST_MS 1000u    /* between tries until the first success */
#define SCHEDULE_CAP_MS   3600000u /* the longest back-off beyond the interval itself */

struct schedule {
	uint32_t interval_ms;
	bool succeeded;  /* at least once */
	uint32_t errors; /* since then, as long as one more lengthens the wait; a success takes two
			    off */
};

/* Note how a poll ended. */
void schedule_note(struct schedule *schedule, bool success);

/*
 * Milliseconds to the next poll: the interval ± 20 %, and with n errors a random wait within
 * [I·2^(n−1), min(cap, I·2^n)] on top. random is any 64 random bits. Never 0.
 */
uint32_t schedule_next_ms(const struct schedule *schedule, uint64_t random);

#endif
