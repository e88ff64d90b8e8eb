/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/room.h"

#include "common/counters.h"

#define SOON_MS  100u
#define LATER_MS 1000u

static int64_t by_counters(const struct counters *sum)
{
	return (int64_t)(sum->remembered - sum->destroyed);
}

void room_walked(struct room *room, const struct counters *sum, uint64_t visits)
{
	room->walked = visits;
	room->then = by_counters(sum);
}

uint64_t room_taken(const struct room *room, const struct counters *sum)
{
	int64_t taken = (int64_t)room->walked + by_counters(sum) - room->then;

	return taken > 0 ? (uint64_t)taken : 0;
}

uint32_t room_judge(const struct room *room, uint32_t before, uint64_t taken)
{
	if (!room->max)
		return before == ROOM_LEFT ? ROOM_LEFT : ROOM_AGAIN;
	if (taken >= room->max)
		return ROOM_NONE;
	if (before == ROOM_NONE && taken >= room->max - room->max / 8)
		return ROOM_NONE;
	return before == ROOM_LEFT ? ROOM_LEFT : ROOM_AGAIN;
}

uint64_t room_look(const struct room *room, struct settings_maps *maps)
{
	struct counters sum;
	uint64_t taken;

	counters_sum(maps->counters, &sum);
	taken = room_taken(room, &sum);
	settings_set_room(maps->settings, room_judge(room, maps->settings->room, taken));
	return taken;
}

uint32_t room_due_ms(const struct room *room, uint64_t taken)
{
	if (!room->max)
		return 0;
	return taken < room->max / 2 ? LATER_MS : SOON_MS;
}
