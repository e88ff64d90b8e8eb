/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loader/room.h"

#define MAX 800u

static struct counters slots[COUNTER_SLOTS];
static struct settings settings;
static struct settings_maps maps = {.settings = &settings, .counters = slots};

static int setup(void **state)
{
	(void)state;
	slots[0] = slots[7] = (struct counters){0};
	settings.room = ROOM_LEFT;
	return 0;
}

static void test_room_is_none_at_its_end_and_again_well_below(void **state)
{
	static const struct {
		uint64_t remembered, destroyed;
		uint32_t room;
	} steps[] = {
		{0, 0, ROOM_LEFT},           {MAX - 1, 0, ROOM_LEFT},
		{MAX, 0, ROOM_NONE},         {MAX + 50, 0, ROOM_NONE},
		{MAX + 50, 51, ROOM_NONE},   {MAX + 50, 150, ROOM_NONE},
		{MAX + 50, 151, ROOM_AGAIN}, {MAX + 200, 201, ROOM_AGAIN},
		{MAX + 200, 200, ROOM_NONE}, {MAX + 200, 1000, ROOM_AGAIN},
	};
	const struct room room = {.max = MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		slots[0].remembered = steps[i].remembered;
		slots[7].destroyed = steps[i].destroyed;
		assert_int_equal(room_look(&room, &maps), steps[i].remembered - steps[i].destroyed);
		assert_int_equal(settings.room, steps[i].room);
	}
}

/* The programs were skipped: they count too much or too little until a walk has been made. */
static void test_room_a_walk_puts_right_what_the_counters_say(void **state)
{
	struct room room = {.max = MAX};

	(void)state;
	slots[0].remembered = MAX + 300;
	assert_int_equal(room_look(&room, &maps), MAX + 300);
	assert_int_equal(settings.room, ROOM_NONE);
	room_walked(&room, &slots[0], 10);
	assert_int_equal(room_look(&room, &maps), 10);
	assert_int_equal(settings.room, ROOM_AGAIN);
	slots[0].remembered += 5;
	assert_int_equal(room_look(&room, &maps), 15);
	slots[7].destroyed += 100;
	assert_int_equal(room_look(&room, &maps), 0);
}

static void test_room_without_a_limit_is_never_looked_for(void **state)
{
	const struct room room = {.max = 0};

	(void)state;
	slots[0].remembered = UINT32_MAX;
	assert_int_equal(room_look(&room, &maps), UINT32_MAX);
	assert_int_equal(settings.room, ROOM_LEFT);
	settings.room = ROOM_NONE; /* of a tracer before */
	assert_int_equal(room_look(&room, &maps), UINT32_MAX);
	assert_int_equal(settings.room, ROOM_AGAIN);
	assert_int_equal(room_due_ms(&room, UINT32_MAX), 0);
}

static void test_room_is_looked_for_sooner_when_it_gets_scarce(void **state)
{
	const struct room room = {.max = MAX};

	(void)state;
	assert_int_equal(room_due_ms(&room, 0), 1000);
	assert_int_equal(room_due_ms(&room, MAX / 2 - 1), 1000);
	assert_int_equal(room_due_ms(&room, MAX / 2), 100);
	assert_int_equal(room_due_ms(&room, 2 * MAX), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_room_is_none_at_its_end_and_again_well_below, setup),
		cmocka_unit_test_setup(test_room_a_walk_puts_right_what_the_counters_say, setup),
		cmocka_unit_test_setup(test_room_without_a_limit_is_never_looked_for, setup),
		cmocka_unit_test_setup(test_room_is_looked_for_sooner_when_it_gets_scarce, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
