/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of a local agent: who must have signed, and that nothing goes back. */
#include "tests/unit/rc_world.h"

static json_t *root(const struct world *world, int64_t version, unsigned int root_keys,
		    unsigned int targets_keys, int threshold)
{
	return agent_root(&world->agent, version, root_keys, targets_keys, threshold);
}

static void versions_are(const struct world *world, uint64_t wanted_root, uint64_t wanted_targets)
{
	struct rc_versions versions;

	rc_versions(world->rc, &versions);
	assert_int_equal(versions.root, wanted_root);
	assert_int_equal(versions.targets, wanted_targets);
}

static void test_rc_chain_of_roots(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	json_t *second = root(world, 2, ROOT_KEY | SPARE_KEY, TARGETS_KEY, 1);

	/* The first is known; of the second only the chain matters, not that it is expired. */
	agent_add_root(agent, root(world, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	json_object_set_new(second, "expires", json_string(AGENT_PAST));
	agent_add_root(agent, second, ROOT_KEY);
	agent_add_root(agent, root(world, 3, SPARE_KEY, ANOTHER_KEY, 1), SPARE_KEY);
	agent_add(agent, BASE, "text", 1);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "targets: signed by 0 keys");
	versions_are(world, 1, 0);
	assert_null(rc_root(world->rc, 1).bytes);
	world_accepts(world, ANOTHER_KEY);
	versions_are(world, 3, 1);
	assert_non_null(rc_root(world->rc, 2).bytes);
	assert_null(rc_root(world->rc, 3).bytes);
	/* What there is no root for: the next must follow the third. */
	json_array_clear(agent->roots);
	agent_add_root(agent, root(world, 4, SPARE_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "root: signed by 0 keys");
}

static void test_rc_roots_that_do_not_follow(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	json_t *expired = root(world, 2, ROOT_KEY, TARGETS_KEY, 1);

	agent_add_root(agent, root(world, 3, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "root: version 3 where 2 must be");
	json_array_clear(agent->roots);
	agent_add_root(agent, root(world, 2, SPARE_KEY, TARGETS_KEY, 1), SPARE_KEY);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "root: signed by 0 keys");
	json_array_clear(agent->roots);
	agent_add_root(agent, root(world, 2, SPARE_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "root: signed by 0 keys");
	json_array_clear(agent->roots);
	json_object_set_new(expired, "expires", json_string(AGENT_PAST));
	agent_add_root(agent, expired, ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_EXPIRED, "root: expired on 2001");
	versions_are(world, 1, 0);
}

static void test_rc_roots_are_limited(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;

	for (int64_t version = 2; version <= 1 + TUF_ROOTS_MAX; version++)
		agent_add_root(agent, root(world, version, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_accepts(world, TARGETS_KEY);
	versions_are(world, 1 + TUF_ROOTS_MAX, 1);
	agent_add_root(agent, root(world, 2 + TUF_ROOTS_MAX, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_TOO_LARGE, "root: more than 256");
}

static void test_rc_targets_by_the_roots_threshold(void **state)
{
	struct world *world = *state;

	agent_add_root(&world->agent, root(world, 2, ROOT_KEY, TARGETS_KEY | SPARE_KEY, 2),
		       ROOT_KEY);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, "targets: signed by 1 keys that count, 2");
	world_refuses(world, ROOT_KEY | TARGETS_KEY, TUF_UNTRUSTED, "signed by 1 keys");
	world_accepts(world, TARGETS_KEY | SPARE_KEY);
}

static void test_rc_targets_expire(void **state)
{
	struct world *world = *state;

	json_object_set_new(world->agent.targets, "expires", json_string(AGENT_PAST));
	world_refuses(world, TARGETS_KEY, TUF_EXPIRED, "targets: expired on 2001");
	json_object_set_new(world->agent.targets, "expires", json_string("2099"));
	world_refuses(world, TARGETS_KEY, TUF_MALFORMED, "targets: expires");
}

static void test_rc_targets_do_not_go_back(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;

	agent_set_version(agent, 9);
	world_accepts(world, TARGETS_KEY);
	agent_add(agent, BASE, "text", 1);
	world_accepts(world, TARGETS_KEY); /* the same again, for other files */
	agent_set_version(agent, 8);
	world_refuses(world, TARGETS_KEY, TUF_ROLLBACK, "targets: version 8, but 9 was seen");
	versions_are(world, 1, 9);
	/* Another key: who had the old one may have signed too high a version. */
	agent_add_root(agent, root(world, 2, ROOT_KEY, SPARE_KEY, 1), ROOT_KEY);
	world_accepts(world, SPARE_KEY);
	versions_are(world, 2, 8);
	agent_set_version(agent, 7);
	world_refuses(world, SPARE_KEY, TUF_ROLLBACK, "targets: version 7, but 8 was seen");
}

static void test_rc_floor_outlives_the_process(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	struct rc_options options = world_options();

	agent_add_root(agent, root(world, 2, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	agent_set_version(agent, 9);
	world_accepts(world, TARGETS_KEY);
	rc_floor(world->rc, &options.floor);
	rc_free(world->rc);
	world->rc =
		world_client(world, &options, root(world, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	assert_non_null(world->rc);
	agent_set_version(agent, 8);
	world_refuses(world, TARGETS_KEY, TUF_ROLLBACK, "targets: version 8, but 9 was seen");
	json_array_clear(agent->roots);
	agent_set_version(agent, 9);
	world_refuses(world, TARGETS_KEY, TUF_ROLLBACK, "root: version 1, but 2 was seen");
}

static struct rc_blob copy(struct rc_blob blob)
{
	char *bytes = malloc(blob.len);

	assert_non_null(bytes);
	memcpy(bytes, blob.bytes, blob.len);
	blob.bytes = bytes;
	return blob;
}

static void free_copy(struct rc_blob blob)
{
	free((void *)blob.bytes);
}

static void test_rc_is_taken_up_again(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	const struct rc_options options = world_options();
	const char *const configs[] = {BASE};
	struct rc_update update = {.file_count = 1, .configs = configs, .config_count = 1};
	struct rc_blob file = {.path = BASE, .bytes = "text", .len = 4}, kept_root;
	json_t *before, *after;

	agent_add_root(agent, root(world, 2, SPARE_KEY, TARGETS_KEY, 1), ROOT_KEY | SPARE_KEY);
	agent_add(agent, BASE, "text", 3);
	world_accepts(world, TARGETS_KEY);
	before = world_request(world);
	kept_root = copy(rc_root(world->rc, 1));
	assert_null(rc_root(world->rc, 2).bytes);
	update.targets = copy(rc_targets(world->rc));
	update.files = &file;
	rc_free(world->rc);

	world->rc = rc_new(&options, kept_root.bytes, kept_root.len, &world->why);
	assert_non_null(world->rc);
	/* Long after all of it expired: what is in force stays. */
	assert_int_equal(rc_apply(world->rc, &update, INT64_MAX, &world->why), TUF_EXPIRED);
	assert_int_equal(rc_apply(world->rc, &update, RC_NO_CLOCK, &world->why), TUF_OK);
	assert_int_equal(rc_changed(world->rc), 1);
	after = world_request(world);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	file.bytes = "tent";
	assert_int_equal(rc_apply(world->rc, &update, RC_NO_CLOCK, &world->why), TUF_OK);
	json_array_clear(world->agent.configs);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_apply(world->rc, &update, RC_NO_CLOCK, &world->why), TUF_UNTRUSTED);
	free_copy(kept_root);
	free_copy(update.targets);
}

static void test_rc_trusts_only_a_root(void **state)
{
	struct world *world = *state;
	const struct rc_options options = world_options();
	json_t *targets = json_deep_copy(world->agent.targets);

	assert_null(world_client(world, &options, targets, TARGETS_KEY));
	assert_int_equal(world->why.result, TUF_UNTRUSTED);
	assert_null(world_client(world, &options, root(world, 1, ROOT_KEY, TARGETS_KEY, 1),
				 TARGETS_KEY));
	assert_int_equal(world->why.result, TUF_UNTRUSTED);
	assert_null(rc_new(&options, "", 0, &world->why));
	assert_int_equal(world->why.result, TUF_MALFORMED);
}

int main(void)
{
#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_AGENT(test_rc_chain_of_roots),
		WITH_AGENT(test_rc_roots_that_do_not_follow),
		WITH_AGENT(test_rc_roots_are_limited),
		WITH_AGENT(test_rc_targets_by_the_roots_threshold),
		WITH_AGENT(test_rc_targets_expire),
		WITH_AGENT(test_rc_targets_do_not_go_back),
		WITH_AGENT(test_rc_floor_outlives_the_process),
		WITH_AGENT(test_rc_is_taken_up_again),
		WITH_AGENT(test_rc_trusts_only_a_root),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
