/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/unmet.h"

bool unmet_walk(struct unmet *unmet, uint64_t counted, uint64_t met)
{
	int64_t least;

	unmet->excess[unmet->walks++ % UNMET_WALKS] = (int64_t)(counted - met);
	if (unmet->walks < UNMET_WALKS)
		return false;
	least = unmet->excess[0];
	for (uint32_t i = 1; i < UNMET_WALKS; i++)
		if (unmet->excess[i] < least)
			least = unmet->excess[i];
	unmet->count = least > 0 ? (uint64_t)least : 0;
	if (unmet->rest)
		unmet->rest--;
	if (unmet->count < unmet->known)
		unmet->known = unmet->count;
	if (unmet->count == unmet->known || unmet->rest)
		return false;
	unmet->known = unmet->count;
	unmet->rest = UNMET_REST;
	return true;
}
