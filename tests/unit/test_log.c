/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

static void test_log_escapes_all_but_printable_ascii(void **state)
{
	char out[8];

	(void)state;
	for (int c = 1; c < 256; c++) {
		const char text[] = {(char)c, '\0'};
		char want[8];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			snprintf(want, sizeof(want), "%c", c);
		else
			snprintf(want, sizeof(want), "\\x%02x", c);
		log_escape(text, out, sizeof(out));
		assert_string_equal(out, want);
	}
}

/* Never beyond its room, always terminated, never half an escape. */
static void test_log_escape_stays_within_its_room(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 20; cap++) {
		char out[32];

		memset(out, 'Z', sizeof(out));
		log_escape("a\nb\nc\nd", out, cap);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 'Z');
		if (!cap)
			continue;
		assert_in_range(strlen(out), 0, cap - 1);
		assert_int_equal(strncmp("a\\x0ab\\x0ac\\x0ad", out, strlen(out)), 0);
		if (strrchr(out, '\\'))
			assert_in_range(strlen(strrchr(out, '\\')), 4, 5);
	}
}

/* What fn() writes to standard error. */
static void capture(void (*fn)(void), char *out, size_t cap)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	n = read(ends[0], out, cap - 1);
	out[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

static void say_hostile(void)
{
	log_error("%s: %d", "name\nforged: line\x1b[31m", 3);
}

static void say_all(void)
{
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
}

static void say_much(void)
{
	static char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	log_error("%s", text);
	memset(text, '\n', sizeof(text) - 1);
	log_error("%s", text);
}

static void test_log_line_stays_one_line(void **state)
{
	char out[512];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_init("test", LOG_LEVEL_INFO);
	capture(say_hostile, out, sizeof(out));
	assert_string_equal(out, "test: name\\x0aforged: line\\x1b[31m: 3\n");
}

static void test_log_bounds_the_line(void **state)
{
	char out[8192], *first_end;

	(void)state;
	log_init("test", LOG_LEVEL_INFO);
	capture(say_much, out, sizeof(out));
	first_end = strchr(out, '\n');
	assert_non_null(first_end);
	assert_in_range(first_end - out, 1000, 1200);
	assert_ptr_equal(strchr(first_end + 1, '\n'), out + strlen(out) - 1);
	assert_in_range(strlen(first_end + 1), 1000, 1200);
}

static void test_log_leaves_out_what_is_below_its_level(void **state)
{
	char out[512];

	(void)state;
	log_init("t", LOG_LEVEL_WARNING);
	capture(say_all, out, sizeof(out));
	assert_string_equal(out, "t: e\nt: w\n");
	log_init("t", LOG_LEVEL_DEBUG);
	capture(say_all, out, sizeof(out));
	assert_string_equal(out, "t: e\nt: w\nt: i\nt: d\n");
}

static void test_log_carries_the_priority_for_the_journal(void **state)
{
	char out[512];

	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_init("t", LOG_LEVEL_DEBUG);
	capture(say_all, out, sizeof(out));
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(out, "<3>t: e\n<4>t: w\n<6>t: i\n<7>t: d\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_escapes_all_but_printable_ascii),
		cmocka_unit_test(test_log_escape_stays_within_its_room),
		cmocka_unit_test(test_log_line_stays_one_line),
		cmocka_unit_test(test_log_bounds_the_line),
		cmocka_unit_test(test_log_leaves_out_what_is_below_its_level),
		cmocka_unit_test(test_log_carries_the_priority_for_the_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
