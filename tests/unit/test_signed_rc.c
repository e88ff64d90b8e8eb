/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verifier makes of what a local agent is said to have. The poller is not believed: each
 * bundle here is one that a poller of the attacker's could send.
 */
#include "tests/unit/rc_world.h"

#include <stdio.h>

#include "common/bundle.h"
#include "rc/shelf.h"
#include "verifier/signed_rc.h"

#define NOW_S (AGENT_NOW_S + INT64_C(1000000000)) /* later than any build */

/* A verifier's world: the root that was installed, and what the supervisor stored for it. */
struct host {
	struct world *world;
	char *root;
	struct bundle store, bundle;
	int64_t now_s;
	bool offline;
};

static struct signed_result result;

static int set_up(void **state)
{
	struct host *host = calloc(1, sizeof(*host));
	void *world;

	assert_non_null(host);
	world_set_up(&world);
	host->world = world;
	host->world->now_s = NOW_S;
	host->now_s = NOW_S;
	host->root =
		agent_sign(&host->world->agent,
			   agent_root(&host->world->agent, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	*state = host;
	return 0;
}

static int tear_down(void **state)
{
	struct host *host = *state;
	void *world = host->world;

	world_tear_down(&world);
	free(host->root);
	bundle_free(&host->store);
	bundle_free(&host->bundle);
	free(host);
	return 0;
}

static struct signed_bytes bytes_of(const struct bundle *bundle)
{
	return (struct signed_bytes){.bytes = bundle->bytes, .len_bytes = bundle->len_bytes};
}

static void verdict_is(struct host *host, enum trust trust, const char *why)
{
	const struct signed_input input = {
		.root = {.bytes = host->root, .len_bytes = strlen(host->root)},
		.store = bytes_of(&host->store),
		.bundle = bytes_of(&host->bundle),
		.offline = host->offline,
		.now_s = host->now_s,
	};

	assert_int_equal(signed_rc_verify(&input, &result), 0);
	if (result.told.trust != trust || !strstr(result.told.why, why))
		fail_msg("%u: %s", result.told.trust, result.told.why);
	if (trust != TRUST_accepted) {
		assert_int_equal(result.part_count, 0);
		assert_string_equal(result.told.floor, "");
	}
}

/* What the poller has goes up. */
static void send_up(struct host *host)
{
	bundle_free(&host->bundle);
	host->bundle = (struct bundle){.max_bytes = MSG_BUNDLE_MAX};
	assert_int_equal(shelf_bundle(host->world->rc, &host->bundle), 0);
}

/* The agent has what it has, the poller believes it, and sends it up. */
static void answer(struct host *host, unsigned int keys)
{
	world_accepts(host->world, keys);
	send_up(host);
}

static struct bundle_entry entry_of(const struct bundle *bundle, const char *name)
{
	struct bundle_entry entry;
	size_t at = 0;

	while (bundle_next(bundle->bytes, bundle->len_bytes, &at, &entry) > 0)
		if (strcmp(entry.name, name) == 0)
			return entry;
	return (struct bundle_entry){.name = NULL};
}

/* Store what the verifier said, as the supervisor does. */
static void keep(struct host *host)
{
	struct bundle store = {.max_bytes = MSG_STORE_MAX};
	bool accepted = result.told.trust == TRUST_accepted;
	char active[4096] = "";
	size_t len = 0;

	for (uint32_t i = 0; i < result.file_count; i++) {
		const struct signed_file *file = &result.files[i];
		struct bundle_entry old = entry_of(&host->store, file->name);
		bool in_set = file->why & (accepted ? FILE_NEW : FILE_IN_FORCE);

		if (!in_set && !(file->why & FILE_LATEST))
			continue;
		bundle_add(&store, file->name, file->bytes ? file->bytes : old.bytes,
			   file->bytes ? file->len_bytes : old.len_bytes);
		if (in_set) {
			len += (size_t)snprintf(active + len, sizeof(active) - len, "%s\n",
						file->name);
		}
	}
	bundle_add(&store, "active", active, len);
	if (result.told.floor[0])
		bundle_add(&store, "floor", result.told.floor, strlen(result.told.floor));
	else if (entry_of(&host->store, "floor").name)
		bundle_add(&store, "floor", entry_of(&host->store, "floor").bytes,
			   entry_of(&host->store, "floor").len_bytes);
	bundle_free(&host->store);
	host->store = store;
}

/* Two files of the product in force, and stored. */
static void begin(struct host *host)
{
	struct agent *agent = &host->world->agent;

	agent_add_root(agent, agent_root(agent, 2, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	agent_add(agent, WEB, "filters: []\n", 1);
	agent_add(agent, BASE, "", 4);
	agent_set_version(agent, 7);
	answer(host, TARGETS_KEY);
	verdict_is(host, TRUST_accepted, "");
	keep(host);
}

static void parts_are(const char *first, const char *second)
{
	assert_int_equal(result.part_count, second ? 2 : 1);
	assert_string_equal(result.parts[0].name, first);
	if (second)
		assert_string_equal(result.parts[1].name, second);
}

static void test_signed_rc_takes_what_is_signed(void **state)
{
	struct host *host = *state;

	begin(host);
	parts_are(BASE, WEB);
	assert_int_equal(result.parts[0].len, 0);
	assert_memory_equal(result.parts[1].text, "filters: []\n", 12);
	assert_int_equal(result.told.versions[MSG_ROLE_ROOT], 2);
	assert_int_equal(result.told.versions[MSG_ROLE_TARGETS], 7);
	assert_int_equal(result.told.versions[MSG_ROLE_TIMESTAMP], 0);
	assert_true(result.told.expires_s[MSG_ROLE_TARGETS] > (uint64_t)NOW_S);
	assert_non_null(strstr(result.told.floor, "\"root\":2,\"targets\":7,"));
	assert_non_null(entry_of(&host->store, "2.root.json").name);
	assert_non_null(entry_of(&host->store, "7.targets.json").name);
	/* The same once more: all of it is there. */
	verdict_is(host, TRUST_accepted, "");
	keep(host);
	assert_non_null(entry_of(&host->store, "2.root.json").name);
}

/* A poller that made a bundle of its own; what is in force is kept whatever it says. */
static void refuses(struct host *host, enum trust trust, const char *why)
{
	verdict_is(host, trust, why);
	keep(host);
	host->offline = true;
	verdict_is(host, TRUST_accepted, "");
	assert_int_equal(result.told.versions[MSG_ROLE_TARGETS], 7);
	parts_are(BASE, WEB);
	host->offline = false;
}

static void test_signed_rc_believes_no_poller(void **state)
{
	struct host *host = *state;
	struct agent *agent = &host->world->agent;
	struct rc_options options = world_options();
	char *at;

	begin(host);
	/* Another byte in a file. */
	at = memmem(host->bundle.bytes, host->bundle.len_bytes, "filters", 7);
	assert_non_null(at);
	*at = 'F';
	refuses(host, TRUST_untrusted, "other length or hash than listed");
	/* A root and targets of the attacker's: a poller that trusts these has a bundle of them. */
	rc_free(host->world->rc);
	json_array_clear(agent->roots);
	host->world->rc = world_client(host->world, &options,
				       agent_root(agent, 2, SPARE_KEY, SPARE_KEY, 1), SPARE_KEY);
	agent_add_root(agent, agent_root(agent, 3, SPARE_KEY, SPARE_KEY, 1), SPARE_KEY);
	agent_set_version(agent, 8);
	answer(host, SPARE_KEY);
	refuses(host, TRUST_untrusted, "root: signed by 0 keys");
	bundle_free(&host->bundle);
	refuses(host, TRUST_malformed, "not what this protocol");
	host->bundle.max_bytes = 100;
	assert_int_equal(bundle_add(&host->bundle, "x.targets.json", "{}", 2), 0);
	refuses(host, TRUST_malformed, "not what this protocol");
	host->bundle.len_bytes--;
	refuses(host, TRUST_malformed, "is no bundle");
}

static void forget_floor(struct host *host)
{
	char *at = memmem(host->store.bytes, host->store.len_bytes, "floor", 6);

	assert_non_null(at);
	*at = 'F';
}

static void test_signed_rc_does_not_go_back(void **state)
{
	struct host *host = *state;
	struct agent *agent = &host->world->agent;
	struct rc_options options = world_options();

	begin(host);
	/* A poller without a memory. */
	rc_free(host->world->rc);
	host->world->rc = world_client(host->world, &options,
				       agent_root(agent, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	agent_set_version(agent, 6);
	answer(host, TARGETS_KEY);
	refuses(host, TRUST_rollback, "targets: version 6, but 7 was seen before");
	/* Nor if the floor is lost, as long as the set in force is there. */
	forget_floor(host);
	verdict_is(host, TRUST_rollback, "targets: version 6, but 7 was seen before");
	/* Nor if it says nothing of the roots that there were: the store knows them. */
	json_array_clear(agent->roots);
	agent_set_version(agent, 8);
	rc_free(host->world->rc);
	host->world->rc = world_client(host->world, &options,
				       agent_root(agent, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	answer(host, TARGETS_KEY);
	verdict_is(host, TRUST_accepted, "");
	assert_int_equal(result.told.versions[MSG_ROLE_ROOT], 2);
}

static void test_signed_rc_needs_a_clock_for_what_is_new(void **state)
{
	struct host *host = *state;

	begin(host);
	host->now_s = NOW_S - 61;
	refuses(host, TRUST_clock, "behind the time at which it last accepted");
	host->now_s = 1000000000;
	refuses(host, TRUST_clock, "behind the time at which this program was built");
	host->now_s = INT64_C(1) << 40;
	refuses(host, TRUST_expired, "expired on 2099");
}

static void test_signed_rc_takes_up_all_that_is_stored_or_nothing(void **state)
{
	struct host *host = *state;
	struct bundle store = {.max_bytes = MSG_STORE_MAX};
	struct bundle_entry entry;
	size_t at = 0;

	host->offline = true;
	verdict_is(host, TRUST_none, "");
	host->offline = false;
	begin(host);
	host->offline = true;
	host->now_s = INT64_C(1) << 40; /* whatever the clock says */
	verdict_is(host, TRUST_accepted, "");
	parts_are(BASE, WEB);
	assert_int_equal(result.file_count, 0);
	/* All but one. */
	while (bundle_next(host->store.bytes, host->store.len_bytes, &at, &entry) > 0)
		if (!strstr(entry.name, "web"))
			bundle_add(&store, entry.name, entry.bytes, entry.len_bytes);
	bundle_free(&host->store);
	host->store = store;
	verdict_is(host, TRUST_untrusted, "a file is gone");
}

static void test_signed_rc_a_damaged_store_is_left_out(void **state)
{
	struct host *host = *state;
	char *at;

	begin(host);
	host->offline = true;
	at = memmem(host->store.bytes, host->store.len_bytes, "filters", 7);
	assert_non_null(at);
	*at = 'F';
	verdict_is(host, TRUST_untrusted, "");
}

/* Else what is on probation would push out what is in force, or a root. */
static void test_signed_rc_has_room_for_what_is_stored_too(void **state)
{
	struct host *host = *state;
	struct agent *agent = &host->world->agent;
	struct bundle_entry entry;
	char name[32];
	uint32_t count = 0;

	begin(host);
	for (size_t at = 0; bundle_next(host->store.bytes, host->store.len_bytes, &at, &entry) > 0;)
		count++;
	for (; count < STOCK_FILES_MAX; count++) {
		snprintf(name, sizeof(name), "%u.root.json", 1000 + count);
		assert_int_equal(bundle_add(&host->store, name, "", 0), 0);
	}
	json_array_clear(agent->configs);
	agent_add(agent, WEB, "families: [ipv4]\n", 2);
	agent_add(agent, BASE, "families: [ipv6]\n", 5);
	agent_set_version(agent, 8);
	answer(host, TARGETS_KEY);
	refuses(host, TRUST_too_large, "install a newer root");
}

int main(void)
{
#define WITH_HOST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_HOST(test_signed_rc_takes_what_is_signed),
		WITH_HOST(test_signed_rc_believes_no_poller),
		WITH_HOST(test_signed_rc_does_not_go_back),
		WITH_HOST(test_signed_rc_needs_a_clock_for_what_is_new),
		WITH_HOST(test_signed_rc_takes_up_all_that_is_stored_or_nothing),
		WITH_HOST(test_signed_rc_a_damaged_store_is_left_out),
		WITH_HOST(test_signed_rc_has_room_for_what_is_stored_too),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
