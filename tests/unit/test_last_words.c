/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>

#include "supervisor/last_words.h"

static char text[256];

static const char *text_of(int code, int status, const char *step)
{
	const struct last_words words = {
		.code = code,
		.status = status,
		.phase = PHASE_RUNNING,
		.step = step,
		.lasted_ns = UINT64_C(12345678901),
		.usage = {.ru_utime = {1, 499000}, .ru_stime = {0, 2000}, .ru_maxrss = 6520}};

	last_words_text(&words, text, sizeof(text));
	return text;
}

static void test_last_words_say_how_when_where_and_with_what(void **state)
{
	(void)state;
	assert_string_equal(text_of(CLD_KILLED, SIGSEGV, "sandbox"),
			    "SIGSEGV while running, after 12.3 s, last step sandbox; 1501 ms of "
			    "processor time, 6520 KiB of memory at most");
	assert_string_equal(text_of(CLD_EXITED, 70, NULL),
			    "exit 70 while running, after 12.3 s; 1501 ms of processor time, "
			    "6520 KiB of memory at most");
}

static void test_last_words_name_a_signal_without_a_name_by_its_number(void **state)
{
	(void)state;
	assert_true(strncmp(text_of(CLD_KILLED, SIGRTMIN + 1, NULL), "signal ", 7) == 0);
	assert_true(strncmp(text_of(CLD_DUMPED, SIGSYS, NULL), "SIGSYS ", 7) == 0);
}

static void test_last_words_are_cut_to_their_room(void **state)
{
	const struct last_words words = {.code = CLD_KILLED, .status = SIGKILL, .step = "attach"};
	char small[16];

	(void)state;
	last_words_text(&words, small, sizeof(small));
	assert_string_equal(small, "SIGKILL while s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_words_say_how_when_where_and_with_what),
		cmocka_unit_test(test_last_words_name_a_signal_without_a_name_by_its_number),
		cmocka_unit_test(test_last_words_are_cut_to_their_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
