/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "record/table.h"

static const struct event closed = {
	.type = EVENT_CLOSE,
	.family = 4,
	.direction = DIRECTION_OUTGOING,
	.state = 4,
	.owner = OWNER_CONNECT,
	.recorded_ns = 3000000000,
	.opened_ns = 1800000000,
	.closed_ns = 3000000000,
	.bytes_sent = 78,
	.bytes_received = 123456,
	.srtt_us = 2150,
	.pid = 4321,
	.sport = 51000,
	.dport = 443,
	.saddr = {10, 0, 0, 1},
	.daddr = {192, 0, 2, 7},
	.comm = "curl",
};

static const char *line_of(const struct event *event)
{
	static char line[TABLE_LINE_MAX];
	int len = table_event(event, 0, line);

	assert_int_equal(len, strlen(line));
	assert_true((size_t)len <= TABLE_WIDTH + 1);
	assert_int_equal(line[len - 1], '\n');
	return line;
}

static void test_table_a_close_is_one_line(void **state)
{
	(void)state;
	assert_string_equal(line_of(&closed),
			    "00:00:03 close  curl(4321)              10.0.0.1:51000 -> "
			    "192.0.2.7:443           1.2s     78   123K  2.1ms fin_wait1\n");
}

static void test_table_titles_stand_over_their_columns(void **state)
{
	char header[TABLE_LINE_MAX];

	(void)state;
	table_header(header);
	assert_ptr_equal(strstr(header, "REMOTE") - header,
			 strstr(line_of(&closed), "192.0.2.7") - line_of(&closed));
	assert_ptr_equal(strstr(header, "STATE") - header,
			 strstr(line_of(&closed), "fin_wait1") - line_of(&closed));
}

static void test_table_an_error_stands_for_the_state(void **state)
{
	struct event event = closed;

	(void)state;
	event.error = 111;
	assert_non_null(strstr(line_of(&event), " ECONNREFUSED\n"));
}

static void test_table_what_is_not_known_is_a_dash(void **state)
{
	struct event event = {.type = EVENT_UPDATE, .family = 4, .state = 1};

	(void)state;
	assert_string_equal(line_of(&event),
			    "00:00:00 update -                            0.0.0.0:0 -- "
			    "0.0.0.0:0                  -      0      0      - established\n");
}

static void test_table_a_listener_shows_its_queue_and_its_drops(void **state)
{
	struct event event = {.type = EVENT_LISTENER,
			      .family = 4,
			      .state = 10,
			      .owner = OWNER_LISTEN,
			      .pid = 77,
			      .sport = 80,
			      .drops = 54,
			      .queue = 3,
			      .queue_max = 2,
			      .comm = "nginx"};

	(void)state;
	assert_string_equal(line_of(&event),
			    "00:00:00 listen nginx(77)                   0.0.0.0:80    "
			    "3 of 2 wait                -      -      -      - 54 drops\n");
	event.drops = event.queue = event.queue_max = UINT32_MAX;
	assert_non_null(strstr(line_of(&event), " 4294967295 "));
}

static void test_table_the_widest_line_keeps_its_ports_and_its_width(void **state)
{
	struct event event;

	(void)state;
	memset(&event, 0xff, sizeof(event));
	event.type = EVENT_UPDATE;
	event.family = 6;
	event.state = 13;
	event.error = 0;
	event.opened_ns = 1;
	assert_non_null(strstr(line_of(&event), "]:65535 -- [ffff:"));
	assert_null(strpbrk(line_of(&event), "\xff"));
	assert_non_null(strstr(line_of(&event), "\?\?\?\?(4294967295)"));
}

static void test_table_control_characters_do_not_reach_the_terminal(void **state)
{
	struct event event = closed;

	(void)state;
	memcpy(event.comm, "\x1b[2J\n\x9b", 7);
	assert_non_null(strstr(line_of(&event), " ?[2J?\?(4321) "));
}

static void test_table_bytes_in_six_columns(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0"},         {999, "999"},         {1000, "1.0K"},
		{9949, "9.9K"},   {9951, "10K"},        {999499, "999K"},
		{999500, "1.0M"}, {4500000000, "4.5G"}, {UINT64_MAX, "18E"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		table_bytes(cases[i].bytes, out);
		assert_string_equal(out, cases[i].text);
	}
}

static void test_table_durations_in_six_columns(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{0, "0us"},
		{999, "999us"},
		{1000, "1.0ms"},
		{9999, "9.9ms"},
		{10000, "10ms"},
		{999999, "999ms"},
		{1000000, "1.0s"},
		{59999999, "59.9s"},
		{60000000, "1m00s"},
		{3599000000, "59m59s"},
		{3600000000, "1h00m"},
		{86400000000, "1d00h"},
		{8640000000000, "100d"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		table_duration(cases[i].us * 1000, out);
		assert_string_equal(out, cases[i].text);
	}
	for (int bits = 0; bits < 64; bits++) {
		table_duration(UINT64_MAX >> bits, out);
		assert_true(strlen(out) <= 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_a_close_is_one_line),
		cmocka_unit_test(test_table_titles_stand_over_their_columns),
		cmocka_unit_test(test_table_an_error_stands_for_the_state),
		cmocka_unit_test(test_table_what_is_not_known_is_a_dash),
		cmocka_unit_test(test_table_a_listener_shows_its_queue_and_its_drops),
		cmocka_unit_test(test_table_the_widest_line_keeps_its_ports_and_its_width),
		cmocka_unit_test(test_table_control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(test_table_bytes_in_six_columns),
		cmocka_unit_test(test_table_durations_in_six_columns),
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
