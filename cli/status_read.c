/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer to "status" says: words for its numbers, and numbers that are found in its lists.
 */
#include <string.h>

#include "cli/status.h"

#define NAME(name, meaning) #name,
const char *const status_counters[MSG_COUNTERS] = {COUNTERS(NAME)};
const char *const status_ledger[MSG_LEDGER] = {LEDGER(NAME)};
const char *const status_telemetry[TELEMETRY_ROWS] = {TELEMETRY(NAME)};
#undef NAME

const char *status_step_result(uint32_t result)
{
	static const char *const names[STEP_RESULT_COUNT] = {
		[STEP_OK] = "ok",           [STEP_DEGRADED] = "degraded",
		[STEP_SKIPPED] = "skipped", [STEP_NOT_SUPPORTED] = "not_supported",
		[STEP_FAILED] = "failed",
	};

	return result < STEP_RESULT_COUNT ? names[result] : "unknown";
}

const char *status_format(uint32_t format)
{
	return format < FORMAT_COUNT ? config_formats[format] : "unknown";
}

const char *status_tracer(uint32_t tracer)
{
	return tracer < TRACER_COUNT ? config_tracers[tracer] : "unknown";
}

const char *status_instance(uint32_t instance)
{
	return instance < INSTANCE_COUNT ? config_instances[instance] : "unknown";
}

const char *status_outcome(uint32_t outcome)
{
#define NAME(name, meaning) #name,
	static const char *const names[] = {OUTCOMES(NAME)};
#undef NAME

	return outcome < OUTCOME_COUNT ? names[outcome] : "unknown";
}

const char *status_probe_state(uint32_t state)
{
	static const char *const names[PROBE_STATE_COUNT] = {
		[PROBE_OFF] = "off",         [PROBE_MISSING] = "missing",
		[PROBE_PLANNED] = "planned", [PROBE_ATTACHED] = "attached",
		[PROBE_FAILED] = "failed",
	};

	return state < PROBE_STATE_COUNT ? names[state] : "unknown";
}

const char *status_verdict(uint32_t verdict)
{
#define WORDS(name, words) words,
	static const char *const all[] = {VERDICTS(WORDS)};
#undef WORDS

	return verdict < VERDICT_COUNT ? all[verdict] : "unknown";
}

const char *status_apply_state(uint32_t state)
{
	static const char *const names[APPLY_STATE_COUNT] = {
		[APPLY_UNKNOWN] = "unknown",
		[APPLY_UNACKNOWLEDGED] = "unacknowledged",
		[APPLY_ACKNOWLEDGED] = "acknowledged",
		[APPLY_ERROR] = "error",
	};

	return state < APPLY_STATE_COUNT ? names[state] : "unknown";
}

const char *status_life_state(uint32_t state)
{
	static const char *const names[LIFE_STATE_COUNT] = {
		[LIFE_IDLE] = "idle",         [LIFE_STARTING] = "starting",
		[LIFE_READY] = "ready",       [LIFE_RUNNING] = "running",
		[LIFE_STOPPING] = "stopping", [LIFE_BACKOFF] = "backing off",
		[LIFE_FAILED] = "failed",
	};

	return state < LIFE_STATE_COUNT ? names[state] : "unknown";
}

bool status_number(const struct status *status, enum role role, uint32_t index, uint64_t *number)
{
	for (uint32_t i = 0; i < status->process_count; i++) {
		const struct msg_process *told = &status->processes[i].told;

		if (told->role == role && index < told->stats.count) {
			*number = told->stats.values[index];
			return true;
		}
	}
	return false;
}

uint64_t status_poller_number(const struct status *status, uint32_t index)
{
	uint64_t number = 0;

	(void)status_number(status, ROLE_POLLER, index, &number);
	return number;
}

const char *status_refusal(uint32_t err)
{
	const char *name = err < TELEMETRY_ERRNOS - 1 ? strerrorname_np((int)err) : NULL;

	if (!err)
		return "";
	return name ? name : "other";
}

uint64_t status_since_s(const struct status *status, uint64_t started_ns)
{
	if (!started_ns || status->now_ns < started_ns)
		return 0;
	return (status->now_ns - started_ns) / 1000000000u;
}
