/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/life.h"

static const struct life_times times = {
	.start_ms = 1000, .ready_ms = 2000, .silence_ms = 500, .stop_ms = 300};

static struct life fresh(void)
{
	struct life life;

	life_init(&life, &times);
	return life;
}

/* A life that runs since t = 0. */
static struct life running(void)
{
	struct life life = fresh();

	assert_int_equal(life_step(&life, LIFE_WANT, 0), LIFE_SPAWN);
	assert_int_equal(life_step(&life, LIFE_HELLO, 0), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_UP, 0), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_RUNNING);
	return life;
}

static void test_life_crash_starts_again_after_a_wait_that_doubles(void **state)
{
	struct life life = running();
	uint64_t now = 0;
	uint32_t wait = LIFE_BACKOFF_FIRST_MS;

	(void)state;
	for (uint32_t n = 1; n < LIFE_CRASHES_MAX; n++) {
		assert_int_equal(life_step(&life, LIFE_EXITED, now), LIFE_NOTHING);
		assert_int_equal(life.state, LIFE_BACKOFF);
		assert_int_equal(life_step(&life, LIFE_TICK, now + wait - 1), LIFE_NOTHING);
		now += wait;
		assert_int_equal(life_step(&life, LIFE_TICK, now), LIFE_SPAWN);
		assert_int_equal(life.restarts, n);
		wait = wait * 2 < LIFE_BACKOFF_MOST_MS ? wait * 2 : LIFE_BACKOFF_MOST_MS;
	}
	assert_int_equal(life_step(&life, LIFE_EXITED, now), LIFE_GIVEN_UP);
	assert_int_equal(life.state, LIFE_FAILED);
	assert_int_equal(life_step(&life, LIFE_TICK, now + 1000000), LIFE_NOTHING);
}

static void test_life_a_steady_run_ends_a_row_of_crashes(void **state)
{
	struct life life = running();
	uint64_t now = 0;

	(void)state;
	for (uint32_t n = 0; n < 3 * LIFE_CRASHES_MAX; n++) {
		now += LIFE_STEADY_MS;
		assert_int_equal(life_step(&life, LIFE_EXITED, now), LIFE_NOTHING);
		now += LIFE_BACKOFF_FIRST_MS;
		assert_int_equal(life_step(&life, LIFE_TICK, now), LIFE_SPAWN);
	}
}

static void test_life_silence_kills_and_a_sign_of_life_puts_it_off(void **state)
{
	struct life life = running();

	(void)state;
	assert_int_equal(life_step(&life, LIFE_TICK, 499), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_HEALTH, 499), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_TICK, 998), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_TICK, 999), LIFE_KILL);
	assert_int_equal(life.state, LIFE_STOPPING);
	/* One that can't be killed at once is killed again. */
	assert_int_equal(life_step(&life, LIFE_TICK, 999 + 300), LIFE_KILL);
	assert_int_equal(life_step(&life, LIFE_EXITED, 1300), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_BACKOFF);
}

static void test_life_each_state_has_its_time(void **state)
{
	struct life life = fresh();

	(void)state;
	(void)life_step(&life, LIFE_WANT, 100);
	assert_int_equal(life_step(&life, LIFE_TICK, 1099), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_TICK, 1100), LIFE_KILL);

	life = fresh();
	(void)life_step(&life, LIFE_WANT, 100);
	(void)life_step(&life, LIFE_HELLO, 200);
	assert_int_equal(life_step(&life, LIFE_TICK, 2199), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_TICK, 2200), LIFE_KILL);
}

static void test_life_replacing_is_no_crash_and_doesnt_wait(void **state)
{
	struct life life = running();

	(void)state;
	assert_int_equal(life_step(&life, LIFE_REPLACE, 10), LIFE_CLOSE);
	assert_int_equal(life_step(&life, LIFE_EXITED, 20), LIFE_SPAWN);
	assert_int_equal(life.replaced, 1);
	assert_int_equal(life.restarts, 0);
	assert_int_equal(life.crashes, 0);
}

static void test_life_stopping_ends_idle_from_every_state(void **state)
{
	struct life life = running();

	(void)state;
	assert_int_equal(life_step(&life, LIFE_STOP, 10), LIFE_CLOSE);
	assert_int_equal(life_step(&life, LIFE_TICK, 309), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_TICK, 310), LIFE_KILL);
	assert_int_equal(life_step(&life, LIFE_EXITED, 311), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_IDLE);

	life = running();
	(void)life_step(&life, LIFE_EXITED, 10);
	assert_int_equal(life_step(&life, LIFE_STOP, 20), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_IDLE);
	assert_int_equal(life_step(&life, LIFE_TICK, 100000), LIFE_NOTHING);

	/* A stop that comes while it is being replaced. */
	life = running();
	(void)life_step(&life, LIFE_REPLACE, 10);
	(void)life_step(&life, LIFE_STOP, 11);
	assert_int_equal(life_step(&life, LIFE_EXITED, 12), LIFE_NOTHING);
	assert_int_equal(life.state, LIFE_IDLE);
}

static void test_life_fatal_is_given_up_at_once_until_something_changes(void **state)
{
	struct life life = running();

	(void)state;
	assert_int_equal(life_step(&life, LIFE_FATAL, 10), LIFE_CLOSE);
	assert_int_equal(life_step(&life, LIFE_EXITED, 20), LIFE_GIVEN_UP);
	assert_int_equal(life_step(&life, LIFE_TICK, 100000), LIFE_NOTHING);
	assert_int_equal(life_step(&life, LIFE_REPLACE, 100001), LIFE_SPAWN);

	/* It is ending already when it becomes clear that trying again can't help. */
	life = running();
	(void)life_step(&life, LIFE_BROKEN, 10);
	(void)life_step(&life, LIFE_FATAL, 11);
	assert_int_equal(life_step(&life, LIFE_EXITED, 12), LIFE_GIVEN_UP);

	/* A new configuration arrives while it ends. */
	life = running();
	(void)life_step(&life, LIFE_FATAL, 10);
	(void)life_step(&life, LIFE_REPLACE, 11);
	assert_int_equal(life_step(&life, LIFE_EXITED, 12), LIFE_SPAWN);
}

static void test_life_late_words_of_a_stopping_child_change_nothing(void **state)
{
	static const enum life_event late[] = {LIFE_HELLO, LIFE_UP, LIFE_HEALTH, LIFE_BROKEN};
	struct life life = running();

	(void)state;
	(void)life_step(&life, LIFE_STOP, 10);
	for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
		assert_int_equal(life_step(&life, late[i], 11), LIFE_NOTHING);
		assert_int_equal(life.state, LIFE_STOPPING);
		assert_int_equal(life.deadline_ms, 310);
	}
}

static void test_life_no_event_in_any_state_leaves_the_states(void **state)
{
	(void)state;
	for (int s = 0; s < LIFE_STATE_COUNT; s++) {
		for (int e = 0; e < LIFE_EVENT_COUNT; e++) {
			struct life life = fresh();

			life.state = (enum life_state)s;
			(void)life_step(&life, (enum life_event)e, 1000);
			assert_true(life.state < LIFE_STATE_COUNT);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_crash_starts_again_after_a_wait_that_doubles),
		cmocka_unit_test(test_life_a_steady_run_ends_a_row_of_crashes),
		cmocka_unit_test(test_life_silence_kills_and_a_sign_of_life_puts_it_off),
		cmocka_unit_test(test_life_each_state_has_its_time),
		cmocka_unit_test(test_life_replacing_is_no_crash_and_doesnt_wait),
		cmocka_unit_test(test_life_stopping_ends_idle_from_every_state),
		cmocka_unit_test(test_life_fatal_is_given_up_at_once_until_something_changes),
		cmocka_unit_test(test_life_late_words_of_a_stopping_child_change_nothing),
		cmocka_unit_test(test_life_no_event_in_any_state_leaves_the_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
