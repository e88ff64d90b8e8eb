/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of a local agent when memory runs out, at each allocation in turn: an answer is
   taken as a whole or not at all, and a request is a whole one or none. */
#include "tests/tuf/scarce.h"
#include "tests/unit/rc_world.h"

#define ALLOCATIONS_MAX 100000ul

static void test_rc_without_memory_nothing_changes(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	json_t *before = world_request(world), *after;
	enum rc_outcome outcome;
	unsigned long n = 1;
	char *text;
	bool failed;

	agent_add_root(agent, agent_root(agent, 2, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	agent_add(agent, BASE, "text", 1);
	agent_add(agent, WEB, "more", 1);
	text = agent_answer(agent, TARGETS_KEY);
	for (;; n++) {
		scarce_after(n);
		outcome = world_feed(world, 200, text);
		failed = scarce_end();
		if (outcome == RC_ACCEPTED)
			break;
		assert_true(n < ALLOCATIONS_MAX && failed);
		assert_int_equal(outcome, RC_REFUSED);
		assert_int_equal(world->why.result, TUF_NO_MEMORY);
		after = world_request(world);
		json_object_del(world_state(after), "error");
		json_object_del(world_state(after), "has_error");
		json_object_update_missing(world_state(after), world_state(before));
		assert_true(json_equal(before, after));
		json_decref(after);
		assert_null(rc_root(world->rc, 1).bytes);
	}
	assert_false(failed);
	assert_true(n > 100);
	assert_non_null(rc_file(world->rc, 1));
	assert_non_null(rc_root(world->rc, 1).bytes);
	json_decref(before);
	free(text);
}

static void test_rc_without_memory_nothing_is_asked(void **state)
{
	struct world *world = *state;
	unsigned long n = 1;
	char *whole, *text;

	agent_add(&world->agent, BASE, "text", 1);
	world_accepts(world, TARGETS_KEY);
	whole = rc_request(world->rc);
	assert_non_null(whole);
	for (;; n++) {
		bool failed;

		assert_true(n < ALLOCATIONS_MAX);
		scarce_after(n);
		text = rc_request(world->rc);
		failed = scarce_end();
		if (text)
			assert_string_equal(text, whole);
		free(text);
		if (!failed)
			break;
	}
	assert_true(n > 50);
	free(whole);
}

int main(void)
{
#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_AGENT(test_rc_without_memory_nothing_changes),
		WITH_AGENT(test_rc_without_memory_nothing_is_asked),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
