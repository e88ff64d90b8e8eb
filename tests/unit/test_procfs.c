/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/procfs.h"

static char path[32];
static int fd;

static void file_with(const char *text)
{
	fd = memfd_create("procfs", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static int32_t number_in(const char *text)
{
	int32_t number;

	file_with(text);
	number = procfs_number(path);
	close(fd);
	return number;
}

static void test_procfs_text_is_what_fits(void **state)
{
	char text[8];

	(void)state;
	file_with("none [integrity]\n");
	memset(text, 'x', sizeof(text));
	procfs_text(path, text, sizeof(text));
	assert_string_equal(text, "none [i");
	close(fd);
	file_with("");
	procfs_text(path, text, sizeof(text));
	assert_string_equal(text, "");
	close(fd);
}

static void test_procfs_text_of_no_file_is_empty(void **state)
{
	char text[8] = "before";

	(void)state;
	procfs_text("/proc/self/no such file", text, sizeof(text));
	assert_string_equal(text, "");
	memset(text, 'x', sizeof(text));
	procfs_text("/proc", text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_procfs_number_is_what_the_file_begins_with(void **state)
{
	(void)state;
	assert_int_equal(number_in("3\n"), 3);
	assert_int_equal(number_in("0"), 0);
	assert_int_equal(number_in("-2\n"), -2);
	assert_int_equal(number_in("2147483647\n"), INT32_MAX);
	assert_int_equal(number_in("32768\t60999\n"), 32768);
}

static void test_procfs_number_is_none_otherwise(void **state)
{
	(void)state;
	assert_int_equal(number_in(""), -1);
	assert_int_equal(number_in("\n"), -1);
	assert_int_equal(number_in("none\n"), -1);
	assert_int_equal(number_in("2147483648\n"), -1);
	assert_int_equal(number_in("99999999999999999999\n"), -1);
	assert_int_equal(procfs_number("/proc/self/no such file"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_procfs_text_is_what_fits),
		cmocka_unit_test(test_procfs_text_of_no_file_is_empty),
		cmocka_unit_test(test_procfs_number_is_what_the_file_begins_with),
		cmocka_unit_test(test_procfs_number_is_none_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
