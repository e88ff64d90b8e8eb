/* SPDX-License-Identifier: Apache-2.0 */
/* Of cli/metrics_each.h, what is about the source of configuration. */
#include "cli/metrics_each.h"
#include "common/words.h"

static void label_source_kind(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	(void)i;
	labels->values[0] = words_source_kind(status->source.kind);
}

const struct metric_each metrics_source_kind = {
	.names = {"kind"},
	.always = 1,
	.label = label_source_kind,
};

bool metrics_source_error(const struct status *status, uint32_t i, int64_t *number)
{
	(void)i;
	*number = status->source.error[0] != '\0';
	return true;
}

bool metrics_store_error(const struct status *status, uint32_t i, int64_t *number)
{
	(void)i;
	*number = status->source.store[0] != '\0';
	return true;
}

bool metrics_next_poll(const struct status *status, uint32_t i, int64_t *number)
{
	uint64_t left_ms = 0;
	bool known = status_number(status, ROLE_POLLER, STAT_POLLER_next_poll_ms, &left_ms);

	(void)i;
	*number = (int64_t)(status->clock_ms + left_ms);
	return known && status->source.polled.result != POLL_STOPPED;
}

const struct metric_each metrics_poll = {
	.names = {"result"},
	.always = POLL_RESULT_COUNT,
	.word = words_poll_result,
};

const struct metric_each metrics_trust = {
	.names = {"trust"},
	.always = TRUST_COUNT,
	.word = words_trust,
};

const struct metric_each metrics_role = {
	.names = {"role"},
	.always = MSG_ROLES,
	.word = words_role,
};

bool metrics_role_version(const struct status *status, uint32_t i, int64_t *number)
{
	*number = (int64_t)status->source.in_force.versions[i];
	return words_has_role(&status->source, i);
}

bool metrics_role_expiry(const struct status *status, uint32_t i, int64_t *number)
{
	*number = (int64_t)status->source.in_force.expires_s[i];
	return words_has_role(&status->source, i) && *number;
}

static uint32_t count_parts(const struct status *status)
{
	return status->source.part_count;
}

static void label_part(const struct status *status, uint32_t i, struct metric_labels *labels)
{
	labels->values[0] = status->source.parts[i].name;
}

const struct metric_each metrics_part = {
	.names = {"part"},
	.count = count_parts,
	.label = label_part,
};

bool metrics_part_state(const struct status *status, uint32_t i, int64_t *number)
{
	*number = status->source.parts[i].state;
	return true;
}

bool metrics_part_error(const struct status *status, uint32_t i, int64_t *number)
{
	*number = status->source.parts[i].error[0] != '\0';
	return true;
}
