/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/jsonbuf.h"
#include "record/json.h"

static const struct event closed = {
	.size = sizeof(struct event),
	.version = EVENT_VERSION,
	.type = EVENT_CLOSE,
	.protocol = 6,
	.family = 4,
	.direction = DIRECTION_OUTGOING,
	.state = 4,
	.cpu = 3,
	.owner = OWNER_CONNECT,
	.error = 111,
	.seq = 42,
	.cookie = UINT64_MAX,
	.recorded_ns = 5000,
	.opened_ns = 1000,
	.established_ns = 2000,
	.closed_ns = 5000,
	.cgroup_id = 77,
	.bytes_sent = 100,
	.bytes_received = 700,
	.segs_out = 6,
	.segs_in = 5,
	.retransmits = 1,
	.srtt_us = 21,
	.rttvar_us = 10,
	.min_rtt_us = 9,
	.netns = 4026531840u,
	.pid = 4321,
	.uid = 1000,
	.sport = 51000,
	.dport = 443,
	.lost = 4,
	.reordered = 3,
	.ecn_marked = 2,
	.ecn = 1,
	.closer = CLOSER_LOCAL,
	.process_ns = 77000,
	.saddr = {10, 0, 0, 1},
	.daddr = {192, 0, 2, 7},
	.comm = "curl",
};

static const char *line_in(const struct event *event, const struct json_context *context)
{
	static char line[JSON_LINE_MAX + 1];
	int len = json_event(event, context, line, JSON_LINE_MAX);

	assert_true(len > 0);
	line[len] = '\0';
	return line;
}

static const char *line_of(const struct event *event, int64_t offset_ns)
{
	return line_in(event, &(struct json_context){.offset_ns = offset_ns});
}

static void test_json_a_close_has_every_field_in_order(void **state)
{
	(void)state;
	assert_string_equal(
		line_of(&closed, 1700000000000000000),
		"{\"event\":\"close\",\"protocol\":\"tcp\",\"family\":4,"
		"\"saddr\":\"10.0.0.1\",\"sport\":51000,\"daddr\":\"192.0.2.7\",\"dport\":443,"
		"\"direction\":\"outgoing\",\"netns\":4026531840,"
		"\"cookie\":18446744073709551615,\"pid\":4321,\"comm\":\"curl\",\"uid\":1000,"
		"\"cgroup_id\":77,\"opened_ns\":1700000000000001000,"
		"\"established_ns\":1700000000000002000,\"closed_ns\":1700000000000005000,"
		"\"bytes_sent\":100,\"bytes_received\":700,\"segs_out\":6,\"segs_in\":5,"
		"\"retransmits\":1,\"srtt_us\":21,\"rttvar_us\":10,\"min_rtt_us\":9,"
		"\"state\":\"fin_wait1\",\"seq\":42,\"cpu\":3,\"owner\":\"connect\","
		"\"partial\":false,\"error\":\"ECONNREFUSED\",\"duration_ns\":4000,"
		"\"recorded_ns\":1700000000000005000,\"pid_start_ns\":77000,\"lost\":4,"
		"\"reordered\":3,\"ecn\":true,\"ecn_marked\":2,\"end\":\"error\","
		"\"closer\":\"local\",\"connect_ns\":1000,\"pair\":\"f410c8e76fd77bd4\",\"seeded\":"
		"false,\"cgroup\":null,\"unit\":null,\"container\":null,\"runtime\":null,"
		"\"pod\":null,\"assured\":null,\"nat\":null}\n");
}

static void test_json_a_udp_flow_has_no_state_and_can_be_assured(void **state)
{
	struct event event = {.type = EVENT_CLOSE,
			      .protocol = 17,
			      .family = 4,
			      .owner = OWNER_SEND,
			      .direction = DIRECTION_OUTGOING,
			      .opened_ns = 5,
			      .closed_ns = 9,
			      .segs_out = 2};
	const char *line = line_of(&event, 1000);

	(void)state;
	assert_non_null(strstr(line, "\"protocol\":\"udp\""));
	assert_non_null(strstr(line, "\"segs_out\":2,"));
	assert_non_null(strstr(line, "\"state\":null,"));
	assert_non_null(strstr(line, "\"owner\":\"send\""));
	assert_non_null(strstr(line, "\"end\":\"closed\""));
	assert_non_null(strstr(line, "\"assured\":false,"));
	event.flags = EVENT_F_ASSURED | EVENT_F_IDLE;
	line = line_of(&event, 1000);
	assert_non_null(strstr(line, "\"end\":\"idle\""));
	assert_non_null(strstr(line, "\"assured\":true,"));
}

static void test_json_a_listener_has_fields_of_its_own(void **state)
{
	struct event event = {.type = EVENT_LISTENER,
			      .protocol = 6,
			      .family = 4,
			      .state = 10,
			      .cpu = EVENT_CPU_WALK,
			      .owner = OWNER_LISTEN,
			      .seq = 7,
			      .cookie = 99,
			      .recorded_ns = 5,
			      .drops = 1234,
			      .queue = 3,
			      .queue_max = 2,
			      .netns = 4026531833,
			      .pid = 77,
			      .uid = 33,
			      .sport = 80,
			      .process_ns = 6,
			      .saddr = {10, 0, 0, 1},
			      .comm = "nginx"};

	(void)state;
	assert_string_equal(
		line_of(&event, 1000),
		"{\"event\":\"listener\",\"protocol\":\"tcp\",\"family\":4,\"saddr\":\"10.0.0.1\","
		"\"sport\":80,\"netns\":4026531833,\"cookie\":99,\"pid\":77,\"comm\":\"nginx\","
		"\"uid\":33,\"cgroup_id\":0,\"state\":\"listen\",\"seq\":7,\"cpu\":65535,"
		"\"owner\":\"listen\",\"recorded_ns\":1005,\"pid_start_ns\":6,\"cgroup\":null,"
		"\"unit\":null,\"container\":null,\"runtime\":null,\"pod\":null,\"drops\":1234,"
		"\"queue\":3,\"queue_max\":2}\n");
}

static void test_json_what_is_not_known_is_null_or_zero(void **state)
{
	struct event event = {.type = EVENT_UPDATE,
			      .protocol = 6,
			      .family = 6,
			      .state = 1,
			      .flags = EVENT_F_PARTIAL,
			      .recorded_ns = 9,
			      .saddr = {[15] = 1},
			      .daddr = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
	const char *line = line_of(&event, 1000);

	(void)state;
	assert_non_null(strstr(line, "\"event\":\"update\""));
	assert_non_null(strstr(line, "\"family\":6,\"saddr\":\"::1\""));
	assert_non_null(strstr(line, "\"daddr\":\"2001:db8::2\""));
	assert_non_null(strstr(line, "\"direction\":\"unknown\""));
	assert_non_null(strstr(line, "\"pid\":null,\"comm\":\"\",\"uid\":null"));
	assert_non_null(strstr(line, "\"opened_ns\":0,\"established_ns\":0,\"closed_ns\":0"));
	assert_non_null(strstr(line, "\"owner\":\"unknown\",\"partial\":true,\"error\":null"));
	assert_non_null(
		strstr(line, "\"duration_ns\":0,\"recorded_ns\":1009,\"pid_start_ns\":null"));
	assert_non_null(strstr(line, "\"end\":null,\"closer\":null,\"connect_ns\":null"));
}

static void test_json_an_error_without_a_name_keeps_its_number(void **state)
{
	struct event event = closed;

	(void)state;
	event.error = 4000;
	assert_non_null(strstr(line_of(&event, 0), "\"error\":\"errno-4000\""));
}

static void expect_comm(const char *bytes, size_t len, const char *json)
{
	struct event event = closed;
	char wanted[160];

	memset(event.comm, 0, sizeof(event.comm));
	memcpy(event.comm, bytes, len);
	snprintf(wanted, sizeof(wanted), "\"comm\":\"%s\",\"uid\"", json);
	if (!strstr(line_of(&event, 0), wanted))
		fail_msg("no %s in %s", wanted, line_of(&event, 0));
}

#define COMM(bytes, json) expect_comm(bytes, sizeof(bytes) - 1, json)

static void test_json_comm_is_escaped(void **state)
{
	(void)state;
	COMM("a\"b\\c", "a\\\"b\\\\c");
	COMM("\n\t\x1b\x7f", "\\u000a\\u0009\\u001b\\u007f");
	COMM("0123456789abcdef", "0123456789abcdef");
	COMM("a\0b", "a");
}

static void test_json_comm_keeps_utf8_and_escapes_what_is_none(void **state)
{
	(void)state;
	COMM("\xc3\xa9", "\xc3\xa9");
	COMM("\xe2\x82\xac", "\xe2\x82\xac");
	COMM("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
	COMM("\xff\x80", "\\u00ff\\u0080");
	COMM("\xc0\xaf", "\\u00c0\\u00af");
	COMM("\xe0\x80\xaf", "\\u00e0\\u0080\\u00af");
	COMM("\xed\xa0\x80", "\\u00ed\\u00a0\\u0080");
	COMM("\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080");
	COMM("\xf0\x8f\xbf\xbf", "\\u00f0\\u008f\\u00bf\\u00bf");
	COMM("\xf5\x80\x80\x80", "\\u00f5\\u0080\\u0080\\u0080");
	COMM("\xe2\x82", "\\u00e2\\u0082");
	COMM("0123456789abcd\xe2\x82", "0123456789abcd\\u00e2\\u0082");
}

static const char *cgroup_line(const char *path)
{
	struct cgroup_name name;

	assert_int_equal(cgroup_name_parse(path, &name), 0);
	return line_in(&closed, &(struct json_context){.cgroup = &name});
}

static void test_json_of_a_cgroup_what_its_path_says(void **state)
{
#define ID "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961"
	(void)state;
	assert_non_null(strstr(cgroup_line("/"), "\"cgroup\":\"/\",\"unit\":null,"
						 "\"container\":null,\"runtime\":null,"
						 "\"pod\":null,\"assured\":null,\"nat\":null}\n"));
	assert_non_null(strstr(cgroup_line("/a\\x2d\nb/c\\x2dd.service/"),
			       "\"cgroup\":\"/a\\\\x2d\\u000ab/c\\\\x2dd.service/\","
			       "\"unit\":\"c\\\\x2dd.service\",\"container\":null,"));
	assert_non_null(strstr(cgroup_line("/kubepods/pod2c48913c-b29f-11e7-9350-020968147796/"
					   "crio-" ID ".scope/container"),
			       "\"unit\":\"crio-" ID ".scope\",\"container\":\"" ID "\","
			       "\"runtime\":\"cri-o\","
			       "\"pod\":\"2c48913c-b29f-11e7-9350-020968147796\",\"assured\":null,"
			       "\"nat\":null}\n"));
#undef ID
}

static void test_json_the_widest_line_fits(void **state)
{
	char path[CGROUP_PATH_MAX];
	struct cgroup_name name;
	struct nat_tuple nat;
	struct event event;

	(void)state;
	memset(&event, 0xff, sizeof(event));
	event.type = EVENT_UPDATE;
	event.protocol = 6;
	event.family = 6;
	event.state = 13;
	event.direction = DIRECTION_OUTGOING;
	event.owner = OWNER_CONNECT;
	event.error = 4095;
	/* No name of a part takes more room than the escapes that could be in its place. */
	memset(path, '\n', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	memset(&nat, 0xff, sizeof(nat));
	assert_int_equal(cgroup_name_parse(path, &name), 0);
	assert_true(strlen(line_in(&event, &(struct json_context){-1, &name, &nat})) +
			    CGROUP_POD_MAX <
		    JSON_LINE_MAX);
}

static void test_json_nat_is_what_the_other_end_sees(void **state)
{
	const struct nat_tuple seen = {{203, 0, 113, 9}, {10, 0, 0, 2}, 40001, 8443};
	struct event six = closed;

	(void)state;
	assert_non_null(strstr(line_in(&closed, &(struct json_context){.nat = &seen}),
			       ",\"nat\":{\"saddr\":\"203.0.113.9\",\"sport\":40001,"
			       "\"daddr\":\"10.0.0.2\",\"dport\":8443}}\n"));
	six.family = 6;
	assert_non_null(strstr(
		line_in(&six,
			&(struct json_context){.nat = &(struct nat_tuple){.src = {0xfd, [15] = 1},
									  .dst = {[15] = 1},
									  .dport = 80}}),
		",\"nat\":{\"saddr\":\"fd00::1\",\"sport\":0,\"daddr\":\"::1\",\"dport\":80}}\n"));
}

static void test_json_a_small_buffer_is_an_error_and_not_overrun(void **state)
{
	const struct json_context context = {.offset_ns = 0};
	char line[JSON_LINE_MAX];
	int whole = json_event(&closed, &context, line, sizeof(line));

	(void)state;
	for (size_t cap = 0; cap < (size_t)whole; cap++) {
		memset(line, 'x', sizeof(line));
		assert_int_equal(json_event(&closed, &context, line, cap), -EMSGSIZE);
		assert_int_equal(line[cap], 'x');
	}
	assert_int_equal(json_event(&closed, &context, line, (size_t)whole), whole);
}

static void test_json_nested_values_get_their_commas(void **state)
{
	char text[128];
	struct jsonbuf json;

	(void)state;
	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	jsonbuf_key(&json, "a");
	jsonbuf_open(&json, '[');
	jsonbuf_u64(&json, 1);
	jsonbuf_i64(&json, INT64_MIN);
	jsonbuf_open(&json, '{');
	jsonbuf_close(&json, '}');
	jsonbuf_null(&json);
	jsonbuf_close(&json, ']');
	jsonbuf_key(&json, "b");
	jsonbuf_bool(&json, true);
	jsonbuf_close(&json, '}');
	assert_false(json.full);
	text[json.len] = '\0';
	assert_string_equal(text, "{\"a\":[1,-9223372036854775808,{},null],\"b\":true}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_a_close_has_every_field_in_order),
		cmocka_unit_test(test_json_a_udp_flow_has_no_state_and_can_be_assured),
		cmocka_unit_test(test_json_a_listener_has_fields_of_its_own),
		cmocka_unit_test(test_json_what_is_not_known_is_null_or_zero),
		cmocka_unit_test(test_json_an_error_without_a_name_keeps_its_number),
		cmocka_unit_test(test_json_comm_is_escaped),
		cmocka_unit_test(test_json_comm_keeps_utf8_and_escapes_what_is_none),
		cmocka_unit_test(test_json_of_a_cgroup_what_its_path_says),
		cmocka_unit_test(test_json_the_widest_line_fits),
		cmocka_unit_test(test_json_nat_is_what_the_other_end_sees),
		cmocka_unit_test(test_json_a_small_buffer_is_an_error_and_not_overrun),
		cmocka_unit_test(test_json_nested_values_get_their_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
