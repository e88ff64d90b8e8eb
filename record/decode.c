/* SPDX-License-Identifier: Apache-2.0 */
#include "record/decode.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "record/names.h"

#define ERRNO_MAX 4095u

static bool right_size(const struct event *e)
{
	return e->size == sizeof(*e);
}

static bool right_version(const struct event *e)
{
	return e->version == EVENT_VERSION;
}

static bool right_type(const struct event *e)
{
	return e->type >= EVENT_OPEN && e->type <= EVENT_LISTENER;
}

static bool right_cpu(const struct event *e)
{
	return e->cpu < EVENT_CPUS;
}

static bool right_protocol(const struct event *e)
{
	return e->protocol == IPPROTO_TCP || e->protocol == IPPROTO_UDP;
}

static bool right_family(const struct event *e)
{
	return e->family == 4 || e->family == 6;
}

static bool right_address(const struct event *e)
{
	static const uint8_t zero[EVENT_ADDR_LEN - 4];

	return e->family == 6 || (memcmp(e->saddr + 4, zero, sizeof(zero)) == 0 &&
				  memcmp(e->daddr + 4, zero, sizeof(zero)) == 0);
}

static bool right_direction(const struct event *e)
{
	return e->direction <= DIRECTION_INCOMING;
}

static bool right_owner(const struct event *e)
{
	return e->owner <= OWNER_RECEIVE;
}

static bool right_flags(const struct event *e)
{
	uint32_t known = EVENT_F_PARTIAL | EVENT_F_SEEDED;

	if (e->protocol == IPPROTO_UDP)
		known |= EVENT_F_ASSURED | EVENT_F_IDLE;

	return (e->flags & ~known) == 0;
}

static bool right_state(const struct event *e)
{
	return e->protocol == IPPROTO_UDP ? e->state == 0 : names_state(e->state) != NULL;
}

static bool right_closer(const struct event *e)
{
	return e->closer <= CLOSER_REMOTE && e->ecn <= 1 && e->pad == 0;
}

static bool right_error(const struct event *e)
{
	return e->error <= ERRNO_MAX;
}

/* In the order in which they are asked; a walk's end has only the first four right. */
static const struct check {
	bool (*holds)(const struct event *event);
	enum decode_result otherwise;
	bool for_walk;
} checks[] = {
	{right_size, DECODE_SIZE, true},          {right_version, DECODE_VERSION, true},
	{right_type, DECODE_TYPE, true},          {right_cpu, DECODE_CPU, true},
	{right_protocol, DECODE_PROTOCOL, false}, {right_family, DECODE_FAMILY, false},
	{right_address, DECODE_ADDRESS, false},   {right_direction, DECODE_DIRECTION, false},
	{right_owner, DECODE_OWNER, false},       {right_flags, DECODE_FLAGS, false},
	{right_state, DECODE_STATE, false},       {right_error, DECODE_ERROR, false},
	{right_closer, DECODE_CLOSER, false},
};

enum decode_result decode_event(const uint8_t *bytes, size_t len, struct event *event)
{
	if (len != sizeof(*event))
		return DECODE_LENGTH;
	memcpy(event, bytes, sizeof(*event));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if ((checks[i].for_walk || event->type != EVENT_WALK) && !checks[i].holds(event))
			return checks[i].otherwise;
	return DECODE_OK;
}

const char *decode_result_text(enum decode_result result)
{
	static const char *const texts[DECODE_RESULT_COUNT] = {
		[DECODE_OK] = "nothing wrong",
		[DECODE_LENGTH] = "not the length of a record",
		[DECODE_SIZE] = "claims another size",
		[DECODE_VERSION] = "unknown version",
		[DECODE_TYPE] = "unknown type",
		[DECODE_PROTOCOL] = "unknown protocol",
		[DECODE_FAMILY] = "unknown address family",
		[DECODE_ADDRESS] = "malformed address",
		[DECODE_DIRECTION] = "unknown direction",
		[DECODE_OWNER] = "unknown kind of owner",
		[DECODE_FLAGS] = "unknown flag",
		[DECODE_STATE] = "unknown state",
		[DECODE_ERROR] = "error out of range",
		[DECODE_CPU] = "sequence out of range",
		[DECODE_CLOSER] = "unknown closer",
	};

	return result < DECODE_RESULT_COUNT ? texts[result] : "unknown reason";
}
