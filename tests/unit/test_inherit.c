/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/inherit.h"

#define ME 4711

static struct inherited got;
static int last;

static int stored(const char *pid, const char *count, const char *names)
{
	memset(&got, 0xff, sizeof(got));
	return inherit_parse_store(pid, count, names, ME, &got, &last);
}

static void test_inherit_takes_numbers_and_names_from_the_manager(void **state)
{
	(void)state;
	assert_int_equal(stored("4711", "3", "a:tracer-1-manifest:"), 0);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.fds[0].fd, 3);
	assert_string_equal(got.fds[0].name, "a");
	assert_int_equal(got.fds[1].fd, 4);
	assert_string_equal(got.fds[1].name, "tracer-1-manifest");
	assert_int_equal(got.fds[2].fd, 5);
	assert_string_equal(got.fds[2].name, "");
	assert_int_equal(last, 5);
}

static void test_inherit_leaves_alone_what_is_for_another_process(void **state)
{
	static const char *const others[] = {"4710", "47110", "+4711", " 4711", "4711 ", "", "x"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(stored(others[i], "1", "a"), 0);
		assert_int_equal(got.count, 0);
		assert_int_equal(last, 2);
	}
	assert_int_equal(stored(NULL, "1", "a"), 0);
	assert_int_equal(got.count, 0);
	assert_int_equal(stored("4711", NULL, "a"), 0);
	assert_int_equal(got.count, 0);
	assert_int_equal(stored("4711", "0", NULL), 0);
	assert_int_equal(got.count, 0);
}

static void test_inherit_refuses_counts_and_names_that_contradict(void **state)
{
	static const struct {
		const char *count, *names;
		int err, last;
	} wrong[] = {
		{"2", "a", -EINVAL, 4},
		{"1", "a:b", -EINVAL, 3},
		{"1", NULL, -EINVAL, 3},
		{"-1", "a", -EINVAL, 2},
		{"1x", "a", -EINVAL, 2},
		{"", "", -EINVAL, 2},
		{"107", "a", -E2BIG, 109},
		{"2147483647", "a", -E2BIG, 2},
		{"99999999999999999999", "a", -EINVAL, 2},
	};

	(void)state;
	assert_int_equal(INHERIT_MAX, 106);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(stored("4711", wrong[i].count, wrong[i].names), wrong[i].err);
		assert_int_equal(got.count, 0);
		assert_int_equal(last, wrong[i].last);
	}
}

static void test_inherit_gives_a_name_that_is_too_long_to_nobody(void **state)
{
	char names[INHERIT_NAME_MAX + 8];

	(void)state;
	memset(names, 'x', sizeof(names));
	names[INHERIT_NAME_MAX - 1] = '\0';
	assert_int_equal(stored("4711", "1", names), 0);
	assert_string_equal(got.fds[0].name, names);
	names[INHERIT_NAME_MAX - 1] = 'x';
	names[INHERIT_NAME_MAX] = '\0';
	assert_int_equal(stored("4711", "1", names), 0);
	assert_string_equal(got.fds[0].name, "");
}

static void test_inherit_takes_a_list_of_its_own(void **state)
{
	static const char *const wrong[] = {
		"",
		"3",
		"3:",
		"3:a,",
		",3:a",
		"3:a,,4:b",
		"3:a,3:b",
		"2:a",
		"-3:a",
		"3 :a",
		" 3:a",
		"x:a",
		":a",
		"2147483648:a",

		"3:a,4",
		"99999999999999999999:a",
		"3:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	};

	(void)state;
	assert_int_equal(inherit_parse_carried("17:control,3:tracer-2-00", &got), 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.fds[0].fd, 17);
	assert_string_equal(got.fds[0].name, "control");
	assert_int_equal(got.fds[1].fd, 3);
	assert_string_equal(got.fds[1].name, "tracer-2-00");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (inherit_parse_carried(wrong[i], &got) != -EINVAL || got.count)
			fail_msg("taken: '%s'", wrong[i]);
	}
	assert_int_equal(inherit_parse_carried(NULL, &got), -EINVAL);
}

static void test_inherit_takes_no_more_than_it_has_room_for(void **state)
{
	char list[INHERIT_MAX * 8 + 16] = "";
	size_t at = 0;

	(void)state;
	for (unsigned int i = 0; i < INHERIT_MAX; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%u:a", i ? "," : "",
				       i + 100);
	assert_int_equal(inherit_parse_carried(list, &got), 0);
	assert_int_equal(got.count, INHERIT_MAX);
	snprintf(list + at, sizeof(list) - at, ",99:a");
	assert_int_equal(inherit_parse_carried(list, &got), -EINVAL);
	assert_int_equal(got.count, 0);
}

static void test_inherit_secures_the_fds_and_clears_the_variables(void **state)
{
	int a = fcntl(STDERR_FILENO, F_DUPFD, 40), b = fcntl(STDERR_FILENO, F_DUPFD, 40);
	char list[64];
	int fd;

	(void)state;
	snprintf(list, sizeof(list), "%d:a,%d:b,999:gone", a, b);
	setenv(INHERIT_VARIABLE, list, 1);
	setenv("LISTEN_FDS", "1", 1);
	inherit_take(&got, true);
	assert_null(getenv(INHERIT_VARIABLE));
	assert_null(getenv("LISTEN_FDS"));
	assert_int_equal(got.count, 2);
	fd = inherit_fd(&got, "b");
	assert_true(fd >= 10 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(inherit_fd(&got, "b"), -1);
	inherit_close(&got);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	assert_true(fcntl(a, F_GETFD) < 0 || (fcntl(a, F_GETFD) & FD_CLOEXEC));
}

static void test_inherit_does_not_believe_a_list_when_it_is_not_to(void **state)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 40);
	char list[64];

	(void)state;
	snprintf(list, sizeof(list), "%d:a", fd);
	setenv(INHERIT_VARIABLE, list, 1);
	inherit_take(&got, false);
	assert_null(getenv(INHERIT_VARIABLE));
	assert_int_equal(got.count, 0);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static void test_inherit_reads_the_list_that_it_writes(void **state)
{
	struct inherited list = {.count = 0};
	char text[256];
	int a = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 40);

	(void)state;
	assert_int_equal(inherit_add(&list, "control", a), 0);
	assert_int_equal(inherit_add(&list, "tracer-4294967295-manifest", STDERR_FILENO + 1), 0);
	assert_int_equal(inherit_add(&list, "none", -1), -ENOSPC);
	assert_int_equal(inherit_text(&list, text, sizeof(text)), 0);
	assert_int_equal(inherit_parse_carried(text, &got), 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.fds[0].fd, a);
	assert_string_equal(got.fds[0].name, "control");
	assert_string_equal(got.fds[1].name, "tracer-4294967295-manifest");
	assert_int_equal(inherit_text(&list, text, 8), -ENOSPC);
	list.count = 1;
	assert_int_equal(inherit_pass(&list, true), 0);
	assert_int_equal(fcntl(a, F_GETFD), 0);
	assert_int_equal(inherit_pass(&list, false), 0);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	close(a);
	assert_int_equal(inherit_pass(&list, true), -EBADF);
	while (list.count < INHERIT_MAX)
		assert_int_equal(inherit_add(&list, "x", 3), 0);
	assert_int_equal(inherit_add(&list, "x", 3), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inherit_takes_numbers_and_names_from_the_manager),
		cmocka_unit_test(test_inherit_leaves_alone_what_is_for_another_process),
		cmocka_unit_test(test_inherit_refuses_counts_and_names_that_contradict),
		cmocka_unit_test(test_inherit_gives_a_name_that_is_too_long_to_nobody),
		cmocka_unit_test(test_inherit_takes_a_list_of_its_own),
		cmocka_unit_test(test_inherit_takes_no_more_than_it_has_room_for),
		cmocka_unit_test(test_inherit_secures_the_fds_and_clears_the_variables),
		cmocka_unit_test(test_inherit_does_not_believe_a_list_when_it_is_not_to),
		cmocka_unit_test(test_inherit_reads_the_list_that_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
