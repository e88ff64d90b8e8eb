/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/probation.h"

static struct probation_count difference(const struct probation_count *to,
					 const struct probation_count *from)
{
	/* What has begun anew did so at zero. */
	if (to->records < from->records || to->lost < from->lost)
		return *to;
	return (struct probation_count){.records = to->records - from->records,
					.lost = to->lost - from->lost};
}

uint32_t probation_share(const struct probation_count *count)
{
	return count->records ? (uint32_t)(count->lost * 10000 / count->records) : 0;
}

struct probation_count probation_since(const struct probation *probation,
				       const struct probation_count *count)
{
	return difference(count, &probation->begin);
}

static void mark(struct probation *probation, const struct probation_look *look)
{
	bool aged = look->now_ms - probation->mark_ms >= look->length_ms;

	if (probation->marked && !aged)
		return;
	probation->older = probation->marked ? probation->younger : look->count;
	probation->younger = look->count;
	probation->mark_ms = look->now_ms;
	probation->marked = true;
}

void probation_begin(struct probation *probation, const struct probation_look *look)
{
	if (!probation->under_way)
		probation->before = probation->marked ? difference(&look->count, &probation->older)
						      : (struct probation_count){0};
	probation->length_ms = look->length_ms;
	probation->under_way = true;
	probation->until_ms = 0;
	probation->crashes = 0;
	probation->begin = look->count;
}

void probation_end(struct probation *probation)
{
	probation->under_way = false;
	probation->marked = false;
}

static enum probation_result end(struct probation *probation, enum probation_result result)
{
	probation_end(probation);
	return result;
}

enum probation_result probation_crash(struct probation *probation)
{
	if (!probation->under_way)
		return PROBATION_NONE;
	probation->until_ms = 0;
	probation->crashes++;
	return probation->crashes >= PROBATION_CRASHES ? end(probation, PROBATION_CRASHING)
						       : PROBATION_GOES_ON;
}

static bool is_losing(const struct probation *probation, const struct probation_count *count)
{
	struct probation_count since = probation_since(probation, count);

	return since.lost >= PROBATION_LOST_LEAST &&
	       probation_share(&since) >
		       probation_share(&probation->before) + 100 * PROBATION_LOST_PERCENT;
}

enum probation_result probation_look(struct probation *probation, const struct probation_look *look)
{
	if (!probation->under_way) {
		mark(probation, look);
		return PROBATION_NONE;
	}
	if (is_losing(probation, &look->count))
		return end(probation, PROBATION_LOSING);
	if (!look->at_work)
		probation->until_ms = 0;
	else if (!probation->until_ms)
		probation->until_ms = look->now_ms + probation->length_ms;
	else if (look->now_ms >= probation->until_ms)
		return end(probation, PROBATION_PASSED);
	return PROBATION_GOES_ON;
}

uint32_t probation_left_ms(const struct probation *probation, uint64_t now_ms)
{
	if (!probation->under_way)
		return 0;
	if (!probation->until_ms)
		return probation->length_ms;
	return probation->until_ms > now_ms ? (uint32_t)(probation->until_ms - now_ms) : 1;
}
