/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/due.h"

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void due_begin(struct due *due, uint32_t interval_ms, uint64_t now_ms, uint64_t random)
{
	uint32_t spacing_ms = interval_ms < DUE_SPACING_MS ? interval_ms : DUE_SPACING_MS;

	*due = (struct due){.spacing = {.interval_ms = spacing_ms, .succeeded = true},
			    .next_ms = now_ms + random % (spacing_ms + 1)};
}

uint64_t due_at_ms(const struct due *due, uint64_t hash)
{
	return due->any && hash == due->hash ? later(due->next_ms, due->again_ms) : due->next_ms;
}

void due_note(struct due *due, uint64_t hash, bool taken, uint32_t wait_ms, uint64_t now_ms,
	      uint64_t random)
{
	const struct schedule again = {.interval_ms = DUE_AGAIN_MS, .succeeded = true};

	schedule_note(&due->spacing, taken);
	due->next_ms = now_ms + later(schedule_next_ms(&due->spacing, random), wait_ms);
	if (!taken)
		return;
	due->any = true;
	due->hash = hash;
	due->again_ms = now_ms + schedule_next_ms(&again, random);
}
