/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/unseen.h"

#include "common/counters.h"

void unseen_begin(struct unseen *unseen, const struct counters *sum)
{
	unseen->live = counters_live(sum);
	unseen->closed = sum->closed;
	unseen->destroyed = sum->destroyed;
}

uint64_t unseen_end(struct unseen *unseen, const struct counters *sum, uint64_t met,
		    uint64_t slices)
{
	uint64_t ended = sum->closed - unseen->closed;
	uint64_t passed_over = slices > 1 ? sum->destroyed - unseen->destroyed : 0;
	int64_t gone;

	unseen->lacking[unseen->walks++ % UNSEEN_WALKS] =
		(int64_t)(unseen->live - ended - passed_over - met);
	if (unseen->walks < UNSEEN_WALKS)
		return 0;
	gone = unseen->lacking[0];
	for (uint32_t i = 1; i < UNSEEN_WALKS; i++)
		if (unseen->lacking[i] < gone)
			gone = unseen->lacking[i];
	if (gone <= 0)
		return 0;
	for (uint32_t i = 0; i < UNSEEN_WALKS; i++)
		unseen->lacking[i] -= gone;
	return (uint64_t)gone;
}
