/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/source_json.h"
#include "poller/report.h"

static char text[REPORT_BYTES_MAX];

/* What is written of it, as one object. */
static size_t written(const struct msg_source *source)
{
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	source_json_put(&json, "web1", source, 3, 52000);
	jsonbuf_close(&json, '}');
	assert_false(json.full);
	return json.len;
}

static struct msg_source agent(void)
{
	struct msg_source source = {
		.kind = SOURCE_AGENT,
		.place = "http://127.0.0.1:8126",
		.polled = {.result = POLL_OK},
		.state = APPLY_ACKNOWLEDGED,
		.now_s = 1000000000,
		.part_count = 1,
		.parts = {{.name = "a/CONNTRACE/b/c", .state = APPLY_ACKNOWLEDGED}}};

	source.in_force.versions[MSG_ROLE_ROOT] = 2;
	source.in_force.expires_s[MSG_ROLE_ROOT] = 4102444800;
	source.in_force.versions[MSG_ROLE_TARGETS] = 9;
	source.last.trust = TRUST_accepted;
	return source;
}

static void test_source_json_has_each_member(void **state)
{
	const struct msg_source source = agent();
	size_t len = written(&source);

	(void)state;
	assert_string_equal(
		(text[len] = '\0', text),
		"{\"host\":\"web1\",\"kind\":\"agent\",\"place\":\"http://127.0.0.1:8126\","
		"\"poll\":\"ok\",\"poll_error\":\"\",\"errors_in_row\":3,\"next_poll_ms\":52000,"
		"\"state\":2,\"has_error\":false,\"error\":\"\",\"probation_left_ms\":0,"
		"\"degraded\":false,\"trust\":\"accepted\",\"trust_error\":\"\",\"roles\":["
		"{\"role\":\"root\",\"version\":2,\"expires\":\"2100-01-01T00:00:00Z\",\"warning\":"
		"\"\"},"
		"{\"role\":\"targets\",\"version\":9,\"expires\":\"\",\"warning\":\"\"}],"
		"\"store_error\":\"\",\"parts\":[{\"name\":\"a/CONNTRACE/b/"
		"c\",\"state\":2,\"error\":\"\"}]}");
}

static bool says_error(const struct msg_source *source)
{
	json_t *json = json_loadb(text, written(source), 0, NULL);
	bool error;

	assert_non_null(json);
	error = json_is_true(json_object_get(json, "has_error"));
	json_decref(json);
	return error;
}

static void test_source_json_has_an_error_if_one_of_four_is_told(void **state)
{
	struct msg_source source = agent();
	char *const told[] = {source.error, source.polled.why, source.last.why, source.store};

	(void)state;
	assert_false(says_error(&source));
	source.polled.report_error[0] = 'x'; /* is none of them */
	assert_false(says_error(&source));
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		told[i][0] = 'x';
		assert_true(says_error(&source));
		told[i][0] = '\0';
	}
}

static void fill(char *string, size_t cap)
{
	memset(string, 1, cap - 1); /* escaped: six bytes for one */
	string[cap - 1] = '\0';
}

static void test_source_json_fits_a_report_whatever_it_is(void **state)
{
	static struct msg_source source;
	json_t *json;

	(void)state;
	source = agent();
	source.kind = SOURCE_SIGNED;
	fill(source.place, sizeof(source.place));
	fill(source.error, sizeof(source.error));
	fill(source.polled.why, sizeof(source.polled.why));
	fill(source.last.why, sizeof(source.last.why));
	fill(source.store, sizeof(source.store));
	source.probation_left_ms = UINT32_MAX;
	source.part_count = MSG_PARTS_MAX;
	for (uint32_t i = 0; i < MSG_PARTS_MAX; i++) {
		fill(source.parts[i].name, sizeof(source.parts[i].name));
		fill(source.parts[i].error, sizeof(source.parts[i].error));
	}
	for (uint32_t i = 0; i < MSG_ROLES; i++) {
		source.in_force.versions[i] = INT64_MAX;
		source.in_force.expires_s[i] = source.now_s + 1;
	}
	json = json_loadb(text, written(&source), 0, NULL);
	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "parts")), MSG_PARTS_MAX);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source_json_has_each_member),
		cmocka_unit_test(test_source_json_has_an_error_if_one_of_four_is_told),
		cmocka_unit_test(test_source_json_fits_a_report_whatever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
