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
#include <sys/stat.h>
#include <unistd.h>

#include "common/wholefile.h"

static char folder[64];
static int dir_fd;

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/conntrace-wholefile-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlinkat(dir_fd, "a", 0);
	(void)unlinkat(dir_fd, ".a.tmp", 0);
	(void)unlinkat(dir_fd, "b", AT_REMOVEDIR);
	close(dir_fd);
	return rmdir(folder);
}

static void holds(const char *name, const char *text)
{
	char *bytes;
	size_t len;

	assert_int_equal(wholefile_read(dir_fd, name, 1000, &bytes, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_string_equal(bytes, text);
	free(bytes);
}

static void test_wholefile_replaces_and_leaves_nothing(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(wholefile_write(dir_fd, "a", "one", 3, 0600), 0);
	holds("a", "one");
	assert_int_equal(wholefile_write(dir_fd, "a", "", 0, 0600), 0);
	holds("a", "");
	assert_int_equal(fstatat(dir_fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(faccessat(dir_fd, ".a.tmp", F_OK, 0), -1);
}

/* What a crash left, and a link that somebody put there, are not written through. */
static void test_wholefile_takes_no_leftover(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/dev/full", dir_fd, ".a.tmp"), 0);
	assert_int_equal(wholefile_write(dir_fd, "a", "two", 3, 0600), 0);
	holds("a", "two");
}

static void test_wholefile_keeps_the_old_one_on_error(void **state)
{
	char longest[256];

	(void)state;
	assert_int_equal(mkdirat(dir_fd, "b", 0700), 0);
	assert_int_equal(wholefile_write(dir_fd, "b", "x", 1, 0600), -EISDIR);
	assert_int_equal(faccessat(dir_fd, ".b.tmp", F_OK, 0), -1);
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(wholefile_write(dir_fd, longest, "x", 1, 0600), -ENAMETOOLONG);
}

static void test_wholefile_reads_within_the_limit(void **state)
{
	char *bytes;
	size_t len;

	(void)state;
	assert_int_equal(wholefile_write(dir_fd, "a", "12345", 5, 0600), 0);
	assert_int_equal(wholefile_read(dir_fd, "a", 5, &bytes, &len), 0);
	free(bytes);
	assert_int_equal(wholefile_read(dir_fd, "a", 4, &bytes, &len), -EFBIG);
	assert_null(bytes);
	assert_int_equal(wholefile_read(dir_fd, "missing", 4, &bytes, &len), -ENOENT);
	assert_int_equal(symlinkat("a", dir_fd, ".a.tmp"), 0);
	assert_int_equal(wholefile_read(dir_fd, ".a.tmp", 9, &bytes, &len), -ELOOP);
	assert_int_equal(mkdirat(dir_fd, "b", 0700), 0);
	assert_int_equal(wholefile_read(dir_fd, "b", 9, &bytes, &len), -EINVAL);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_wholefile_replaces_and_leaves_nothing),
		IN_FOLDER(test_wholefile_takes_no_leftover),
		IN_FOLDER(test_wholefile_keeps_the_old_one_on_error),
		IN_FOLDER(test_wholefile_reads_within_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
