/* SPDX-License-Identifier: Apache-2.0 */
/* From the poller's state to a bundle, and from it to the verifier's. */
#include "tests/unit/rc_world.h"

#include <errno.h>
#include <stdio.h>

#include "rc/shelf.h"

#define ODD "employee/CONNTRACE/a b%2F?/\xc3\xa9"

static struct shelf shelf;

static struct bundle make_bundle(const struct world *world)
{
	struct bundle bundle = {.max_bytes = 1u << 20};

	assert_int_equal(shelf_bundle(world->rc, &bundle), 0);
	return bundle;
}

static struct rc *fresh_client(struct world *world, const struct rc_floor *floor)
{
	struct rc_options options = world_options();
	struct rc *rc;

	if (floor)
		options.floor = *floor;
	rc = world_client(world, &options, agent_root(&world->agent, 1, ROOT_KEY, TARGETS_KEY, 1),
			  ROOT_KEY);
	assert_non_null(rc);
	return rc;
}

/* What the agent has, as an agent in a later state; the world's client is up to date with it. */
static void fill(struct world *world)
{
	struct agent *agent = &world->agent;

	agent_add_root(agent, agent_root(agent, 2, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	world_accepts(world, TARGETS_KEY);
	agent_add_root(agent, agent_root(agent, 3, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	agent_add(agent, ODD, "odd", 1);
	agent_add(agent, BASE, "", 2);
	agent_set_version(agent, 12);
	world_accepts(world, TARGETS_KEY);
}

static void test_shelf_carries_all_that_is_in_force(void **state)
{
	static struct stock store, bundle;
	struct world *world = *state;
	struct bundle bytes;
	struct rc *rc;

	fill(world);
	bytes = make_bundle(world);
	memset(&bundle, 0, sizeof(bundle));
	assert_int_equal(stock_read(&bundle, bytes.bytes, bytes.len_bytes), 0);
	assert_non_null(stock_find(&bundle, "2.root.json"));
	assert_non_null(stock_find(&bundle, "3.root.json"));
	assert_null(stock_find(&bundle, "1.root.json"));
	assert_non_null(stock_find(&bundle, "12.targets.json"));
	assert_int_equal(bundle.count, 5);

	rc = fresh_client(world, NULL);
	assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), 0);
	assert_int_equal(rc_apply(rc, &shelf.update, AGENT_NOW_S, &world->why), TUF_OK);
	assert_string_equal(rc_file(rc, 0)->path, BASE);
	assert_string_equal(rc_file(rc, 1)->path, ODD);
	assert_string_equal(rc_file(rc, 1)->bytes, "odd");
	rc_free(rc);

	/* Without the second root in it the chain ends, unless the store has it. */
	bundle.files[0].name = "x.json";
	rc = fresh_client(world, NULL);
	assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), 0);
	assert_int_equal(shelf.update.root_count, 0);
	store.files[0] = (struct stock_file){.name = "2.root.json",
					     .bytes = bundle.files[0].bytes,
					     .len_bytes = bundle.files[0].len_bytes};
	store.count = 1;
	assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), 0);
	assert_int_equal(rc_apply(rc, &shelf.update, AGENT_NOW_S, &world->why), TUF_OK);
	rc_free(rc);
	bundle_free(&bytes);
}

#define ODD_FILE \
	"990cb8ebd0afb7150da453a213036a92f2c05e091df0d803e62d257ea7796c27." \
	"employee%2FCONNTRACE%2Fa%20b%252F%3F%2F%C3%A9"

static void name_in_force(struct stock *store, const char *names)
{
	struct stock_file *active = &store->files[store->count - 1];

	if (strcmp(active->name, "active") != 0) {
		active = &store->files[store->count++];
		active->name = "active";
	}
	active->bytes = names;
	active->len_bytes = strlen(names);
}

/* Of a store only what is marked as in force counts, but for roots. */
static void test_shelf_takes_up_what_is_in_force(void **state)
{
	static struct stock store;
	struct world *world = *state;
	struct bundle bytes;

	fill(world);
	bytes = make_bundle(world);
	memset(&store, 0, sizeof(store));
	assert_int_equal(stock_read(&store, bytes.bytes, bytes.len_bytes), 0);
	assert_int_equal(shelf_read_store(&shelf, &store, 1), -ENOENT);
	name_in_force(&store, ODD_FILE "\n12.targets.json\n");
	assert_int_equal(shelf_read_store(&shelf, &store, 1), 0);
	assert_int_equal(shelf.update.root_count, 2);
	assert_int_equal(shelf.update.config_count, 1);
	assert_string_equal(shelf.update.configs[0], ODD);
	name_in_force(&store, ODD_FILE "\n12.targets.json\n13.targets.json\n");
	assert_int_equal(shelf_read_store(&shelf, &store, 1), -EBADMSG);
	bundle_free(&bytes);
}

static void test_shelf_refuses_other_bundles(void **state)
{
	static const char hash[] =
		"0123456789012345678901234567890123456789012345678901234567890123";
	static const char *const ends[] = {"", ".%", ".%2", ".%0g", ".%00", ".a%", "a"};
	static struct stock bundle, store;
	char names[RC_FILES_MAX + 1][80];

	(void)state;
	bundle.count = 2;
	bundle.files[0] = (struct stock_file){.name = "1.targets.json", .bytes = ""};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(names[0], sizeof(names[0]), "%s%s", hash, ends[i]);
		bundle.files[1] = (struct stock_file){.name = names[0], .bytes = ""};
		assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), -EPROTO);
	}
	for (size_t i = 0; i <= RC_FILES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "%s.%zu", hash, i);
		bundle.files[1 + i] = (struct stock_file){.name = names[i], .bytes = ""};
	}
	bundle.count = 1 + RC_FILES_MAX;
	assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), 0);
	assert_int_equal(shelf.update.config_count, RC_FILES_MAX);
	bundle.count++;
	assert_int_equal(shelf_read_bundle(&shelf, &store, &bundle, 1), -E2BIG);
}

static void test_shelf_names_too_long_are_refused(void **state)
{
	struct rc_file file = {.bytes = (char *)(uintptr_t) ""};
	char name[SHELF_NAME_MAX];

	(void)state;
	memset(file.path, 'a', 174);
	assert_int_equal(shelf_name_file(&file, name), 0);
	assert_int_equal(strlen(name), SHELF_NAME_MAX - 1);
	file.path[174] = 'a';
	assert_int_equal(shelf_name_file(&file, name), -ENAMETOOLONG);
}

static void memory_is(const char *text, uint64_t root, uint64_t targets, int64_t time_s)
{
	static struct stock store;
	struct shelf_memory memory;

	store.files[0] =
		(struct stock_file){.name = "floor", .bytes = text, .len_bytes = strlen(text)};
	store.count = 1;
	shelf_read_memory(&store, &memory);
	assert_int_equal(memory.floor.root, root);
	assert_int_equal(memory.floor.targets, targets);
	assert_int_equal(memory.time_s, time_s);
}

static void test_shelf_remembers(void **state)
{
	struct shelf_memory memory = {.time_s = INT64_C(1790000000)};
	struct world *world = *state;
	char text[SHELF_FLOOR_MAX];

	fill(world);
	rc_floor(world->rc, &memory.floor);
	shelf_write_memory(&memory, text);
	memory_is(text, 3, 12, 1790000000);
	memory_is("", 0, 0, 0);
	memory_is("{}", 0, 0, 0);
	memory_is("root=3 targets=12", 0, 0, 0);
	memory_is("{\"root\":1,\"targets\":2,\"time\":3,\"keys\":\"a\"}", 1, 2, 3);
	memory_is("{\"root\":1,\"targets\":2,\"time\":3,\"keys\":1}", 0, 0, 0);
	memory_is("{\"root\":-1,\"targets\":2,\"time\":3,\"keys\":\"a\"}", 0, 0, 0);
}

int main(void)
{
#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		WITH_AGENT(test_shelf_carries_all_that_is_in_force),
		WITH_AGENT(test_shelf_takes_up_what_is_in_force),
		cmocka_unit_test(test_shelf_refuses_other_bundles),
		cmocka_unit_test(test_shelf_names_too_long_are_refused),
		WITH_AGENT(test_shelf_remembers),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
