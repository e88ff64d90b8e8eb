/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol of a local agent: what is asked, and what becomes of files. */
#include "tests/unit/rc_world.h"

#define SHA256_OF_TEXT "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"

static void request_is(const struct world *world, const char *wanted)
{
	json_t *request = world_request(world), *expected;
	json_error_t error;
	char *text;

	expected = json_loads(wanted, 0, &error);
	if (!expected)
		fail_msg("line %d: %s", error.line, error.text);
	text = json_dumps(request, 0);
	if (!json_equal(request, expected))
		fail_msg("another request: %s", text);
	free(text);
	json_decref(request);
	json_decref(expected);
}

static const struct rc_file *file_at(const struct world *world, size_t index, const char *path,
				     const char *text)
{
	const struct rc_file *file = rc_file(world->rc, index);

	assert_non_null(file);
	assert_string_equal(file->path, path);
	assert_int_equal(file->len, strlen(text));
	assert_string_equal(file->bytes, text);
	return file;
}

static void test_rc_ids_are_of_their_alphabets(void **state)
{
	static const uint8_t low[RC_RANDOM_LEN] = {0};
	uint8_t high[RC_RANDOM_LEN];
	struct rc_ids ids;

	(void)state;
	rc_ids_make(low, &ids);
	assert_string_equal(ids.client, "_____________________");
	assert_string_equal(ids.runtime, "00000000-0000-4000-8000-000000000000");
	memset(high, 0xff, sizeof(high));
	rc_ids_make(high, &ids);
	assert_string_equal(ids.client, "ZZZZZZZZZZZZZZZZZZZZZ");
	assert_string_equal(ids.runtime, "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

static void test_rc_first_request(void **state)
{
	request_is(
		*state,
		"{\"client\": {\"id\": \"-01__________________\","
		" \"products\": [\"CONNTRACE\", \"OTHER\"],"
		" \"state\": {\"root_version\": 1, \"targets_version\": 0, \"config_states\": [],"
		"  \"has_error\": false, \"error\": \"\", \"backend_client_state\": \"\"},"
		" \"is_tracer\": true,"
		" \"client_tracer\": {\"runtime_id\": \"00000000-0000-4000-8000-000000000000\","
		"  \"language\": \"c\", \"tracer_version\": \"1.2.3\","
		"  \"service\": \"conntrace\", \"env\": \"\", \"app_version\": \"4\"},"
		" \"capabilities\": \"AQ==\"},"
		" \"cached_target_files\": []}");
}

static void test_rc_request_after_files_came(void **state)
{
	struct world *world = *state;

	agent_add(&world->agent, WEB, "text", 7);
	agent_add(&world->agent, BASE, "", 9);
	agent_set_version(&world->agent, 5);
	world_accepts(world, TARGETS_KEY);
	rc_note(world->rc, "CONNTRACE", RC_ERROR, "line 3: unknown key");
	request_is(
		world,
		"{\"client\": {\"id\": \"-01__________________\","
		" \"products\": [\"CONNTRACE\", \"OTHER\"],"
		" \"state\": {\"root_version\": 1, \"targets_version\": 5, \"config_states\": ["
		"   {\"id\": \"base\", \"version\": 9, \"product\": \"CONNTRACE\","
		"    \"apply_state\": 3, \"apply_error\": \"line 3: unknown key\"},"
		"   {\"id\": \"web\", \"version\": 7, \"product\": \"CONNTRACE\","
		"    \"apply_state\": 3, \"apply_error\": \"line 3: unknown key\"}],"
		"  \"has_error\": false, \"error\": \"\","
		"  \"backend_client_state\": \"" BACKEND_TEXT "\"},"
		" \"is_tracer\": true,"
		" \"client_tracer\": {\"runtime_id\": \"00000000-0000-4000-8000-000000000000\","
		"  \"language\": \"c\", \"tracer_version\": \"1.2.3\","
		"  \"service\": \"conntrace\", \"env\": \"\", \"app_version\": \"4\"},"
		" \"capabilities\": \"AQ==\"},"
		" \"cached_target_files\": ["
		"  {\"path\": \"" BASE "\", \"length\": 0, \"hashes\": [{\"algorithm\": \"sha256\","
		"   \"hash\": "
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]},"
		"  {\"path\": \"" WEB "\", \"length\": 4, \"hashes\": [{\"algorithm\": \"sha256\","
		"   \"hash\": \"" SHA256_OF_TEXT "\"}]}]}");
}

static void test_rc_files_come_change_and_go(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;

	agent_add(agent, OTHER, "one", 1);
	agent_add(agent, BASE, "two", 1);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_changed(world->rc), 3);
	assert_int_equal(file_at(world, 0, BASE, "two")->state, RC_UNACKNOWLEDGED);
	file_at(world, 1, OTHER, "one");
	assert_null(rc_file(world->rc, 2));
	rc_note(world->rc, "CONNTRACE", RC_ACKNOWLEDGED, "");
	rc_note(world->rc, "OTHER", RC_ACKNOWLEDGED, "");

	agent_list(agent, OTHER, "three", 2);
	json_object_set_new(agent->files, OTHER, json_string("three"));
	agent_set_version(agent, 2);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_changed(world->rc), 2);
	assert_int_equal(file_at(world, 0, BASE, "two")->state, RC_ACKNOWLEDGED);
	assert_int_equal(file_at(world, 1, OTHER, "three")->state, RC_UNACKNOWLEDGED);

	json_array_remove(agent->configs, 1);
	agent_set_version(agent, 3);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_changed(world->rc), 1);
	file_at(world, 0, OTHER, "three");
	assert_null(rc_file(world->rc, 1));

	json_array_clear(agent->configs);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_changed(world->rc), 2);
	assert_null(rc_file(world->rc, 0));
}

static void test_rc_what_is_there_need_not_come_again(void **state)
{
	struct world *world = *state;
	struct agent *agent = &world->agent;
	json_t *entry;

	agent_add(agent, BASE, "text", 1);
	world_accepts(world, TARGETS_KEY);
	rc_note(world->rc, "CONNTRACE", RC_ACKNOWLEDGED, "");
	json_object_clear(agent->files);
	agent_set_version(agent, 2);
	entry = agent_list(agent, BASE, "text", 8);
	world_accepts(world, TARGETS_KEY);
	assert_int_equal(rc_changed(world->rc), 0);
	assert_int_equal(file_at(world, 0, BASE, "text")->version, 8);
	assert_int_equal(rc_file(world->rc, 0)->state, RC_ACKNOWLEDGED);

	/* Only an algorithm that is not known: nothing to tell that they are the same. */
	json_object_set_new(entry, "hashes", json_pack("{s:s}", "md5", "00"));
	agent_set_version(agent, 3);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, BASE ": hashes: neither");
	agent_list(agent, BASE, "test", 8);
	world_refuses(world, TARGETS_KEY, TUF_UNTRUSTED, BASE ": the file itself is missing");
}

/* Each spoils one thing of an answer that would add WEB. */
static void spoil_listing(struct agent *agent)
{
	json_object_del(json_object_get(agent->targets, "targets"), WEB);
}

static void spoil_raw(struct agent *agent)
{
	json_object_del(agent->files, WEB);
}

static void spoil_bytes(struct agent *agent)
{
	json_object_set_new(agent->files, WEB, json_string("tent"));
}

static json_t *entry_of(const struct agent *agent)
{
	return json_object_get(json_object_get(agent->targets, "targets"), WEB);
}

static void spoil_length(struct agent *agent)
{
	json_object_set_new(entry_of(agent), "length", json_integer(5));
}

static void spoil_custom(struct agent *agent)
{
	json_object_del(entry_of(agent), "custom");
}

static void spoil_version(struct agent *agent)
{
	json_object_set_new(json_object_get(entry_of(agent), "custom"), "v", json_string("1"));
}

static void spoil_path(struct agent *agent)
{
	agent_add(agent, "base.yaml", "text", 1);
}

static void spoil_product(struct agent *agent)
{
	agent_add(agent, "employee/UNASKED/a/b", "text", 1);
}

static void spoil_list(struct agent *agent)
{
	json_array_append_new(agent->configs, json_string(WEB));
}

static void spoil_count(struct agent *agent)
{
	char path[64];

	for (unsigned int i = 0; i < RC_FILES_MAX; i++) {
		snprintf(path, sizeof(path), "employee/CONNTRACE/%u/x", i);
		agent_add(agent, path, "", 1);
	}
}

static void spoil_size(struct agent *agent)
{
	char *text = malloc(RC_BYTES_MAX - 2);

	assert_non_null(text);
	memset(text, ' ', RC_BYTES_MAX - 3);
	text[RC_BYTES_MAX - 3] = '\0';
	agent_add(agent, BASE, text, 1);
	free(text);
}

static void test_rc_an_answer_is_taken_as_a_whole(void **state)
{
	static const struct {
		void (*spoil)(struct agent *agent);
		enum tuf_result result;
		const char *text;
	} cases[] = {
		{spoil_listing, TUF_UNTRUSTED, WEB ": not in targets"},
		{spoil_raw, TUF_UNTRUSTED, WEB ": the file itself is missing"},
		{spoil_bytes, TUF_UNTRUSTED, WEB ": other length or hash than listed"},
		{spoil_length, TUF_UNTRUSTED, WEB ": other length or hash than listed"},
		{spoil_custom, TUF_MALFORMED, WEB ": custom.v: not a version"},
		{spoil_version, TUF_MALFORMED, WEB ": custom.v: not a version"},
		{spoil_path, TUF_MALFORMED, "base.yaml: not datadog/"},
		{spoil_product, TUF_UNTRUSTED, "UNASKED/a/b: of a product that was not asked for"},
		{spoil_list, TUF_MALFORMED, "twice"},
		{spoil_count, TUF_TOO_LARGE, "client_configs: more than 32"},
		{spoil_size, TUF_TOO_LARGE, BASE ": with it the files are larger"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *world = *state;

		agent_add(&world->agent, OTHER, "kept", 1);
		world_accepts(world, TARGETS_KEY);
		agent_add(&world->agent, WEB, "text", 1);
		agent_set_version(&world->agent, 2);
		cases[i].spoil(&world->agent);
		world_refuses(world, TARGETS_KEY, cases[i].result, cases[i].text);
		file_at(world, 0, OTHER, "kept");
		assert_null(rc_file(world->rc, 1));
		world_tear_down(state);
		world_set_up(state);
	}
}

static void test_rc_an_error_is_told_until_an_answer_is_taken(void **state)
{
	struct world *world = *state;
	json_t *request;

	agent_add(&world->agent, BASE, "text", 1);
	spoil_path(&world->agent);
	world_refuses(world, TARGETS_KEY, TUF_MALFORMED, "base.yaml");
	assert_int_equal(world_feed(world, 200, "{}"), RC_NOTHING);
	world_refuses(world, TARGETS_KEY, TUF_MALFORMED, "base.yaml");
	json_array_remove(world->agent.configs, 1);
	world_accepts(world, TARGETS_KEY);
	request = world_request(world);
	assert_true(json_is_false(json_object_get(world_state(request), "has_error")));
	assert_string_equal(json_string_value(json_object_get(world_state(request), "error")), "");
	json_decref(request);
}

static void test_rc_answers_without_anything_new(void **state)
{
	static const char *const bodies[] = {
		"{}", "{\"roots\": null, \"targets\": \"\", \"client_configs\": []}",
		"{\"config_status\": 1}"};
	struct world *world = *state;

	agent_add(&world->agent, BASE, "text", 1);
	world_accepts(world, TARGETS_KEY);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_int_equal(world_feed(world, 200, bodies[i]), RC_NOTHING);
	assert_int_equal(world_feed(world, 204, ""), RC_NOTHING);
	file_at(world, 0, BASE, "text");
}

static void test_rc_statuses(void **state)
{
	static const unsigned int never[] = {404, 410, 501}, later[] = {500, 503, 302, 201, 403, 0};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert_int_equal(world_feed(*state, never[i], "{}"), RC_UNIMPLEMENTED);
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		assert_int_equal(world_feed(*state, later[i], "{}"), RC_UNREACHABLE);
}

#define FILE_A "{\"path\": \"a\", \"raw\": \"\"}"

static void test_rc_other_shapes_are_refused(void **state)
{
	static const char *const bodies[] = {
		"",
		"[]",
		"not found",
		"{} {}",
		"{\"targets\": 1}",
		"{\"targets\": \"Zm9v\"}",
		"{\"targets\": \"Zm9\"}",
		"{\"roots\": {}}",
		"{\"roots\": [1]}",
		"{\"roots\": [\"e30=\"], \"targets\": \"e30=\"}",
		"{\"client_configs\": [\"a\"]}",
		"{\"client_configs\": [1], \"targets\": \"e30=\"}",
		"{\"target_files\": [1], \"targets\": \"e30=\"}",
		"{\"target_files\": [{\"path\": \"a\"}], \"targets\": \"e30=\"}",
		"{\"targets\": \"e30=\", \"target_files\": [" FILE_A ", " FILE_A "]}",
		" \"targets\": \"e30=\"}",
		"{\"x\": 1.5}",
		"{\"x\": 1, \"x\": 1}",
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct world *world = *state;

		assert_int_equal(world_feed(world, 200, bodies[i]), RC_REFUSED);
		assert_int_equal(world->why.result, TUF_MALFORMED);
		assert_true(strlen(world->why.text) > 0);
	}
}

static void test_rc_texts_from_outside_fit_into_a_request(void **state)
{
	struct world *world = *state;
	char path[300];
	json_t *request;

	/* Cut in the middle of a character. */
	memset(path, 'a', 199);
	memcpy(path + 199, "\xc3\xa4\x01", 4);
	json_array_append_new(world->agent.configs, json_string(path));
	assert_int_equal(world_answer(world, TARGETS_KEY), RC_REFUSED);
	request = world_request(world);
	assert_non_null(strstr(json_string_value(json_object_get(world_state(request), "error")),
			       "aaa?: not in targets"));
	json_decref(request);
}

int main(void)
{
#define WITH_AGENT(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rc_ids_are_of_their_alphabets),
		WITH_AGENT(test_rc_first_request),
		WITH_AGENT(test_rc_request_after_files_came),
		WITH_AGENT(test_rc_files_come_change_and_go),
		WITH_AGENT(test_rc_what_is_there_need_not_come_again),
		WITH_AGENT(test_rc_an_answer_is_taken_as_a_whole),
		WITH_AGENT(test_rc_an_error_is_told_until_an_answer_is_taken),
		WITH_AGENT(test_rc_answers_without_anything_new),
		WITH_AGENT(test_rc_statuses),
		WITH_AGENT(test_rc_other_shapes_are_refused),
		WITH_AGENT(test_rc_texts_from_outside_fit_into_a_request),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
