/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/object.h"

#define NAME "tracer.bpf.o"
#define BYTES \
	"\x7f" \
	"ELF, or so\0behind a NUL"
#define LEN (sizeof(BYTES) - 1)

static char directory[64];
static int dir_fd;
static char why[256];

static int make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/conntrace-object-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
	(void)state;
	if (unlinkat(dir_fd, NAME, 0) < 0 && errno == EISDIR)
		(void)unlinkat(dir_fd, NAME, AT_REMOVEDIR);
	close(dir_fd);
	return rmdir(directory);
}

/* Trusted files are root's. */
static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void write_file(const void *bytes, size_t len)
{
	int fd = openat(dir_fd, NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(fchown(fd, 0, 0), 0);
	close(fd);
}

static int open_it(struct object *object, size_t most)
{
	memset(object, 0xff, sizeof(*object));
	memset(why, 0, sizeof(why));
	return object_open(object, dir_fd, NAME, most, why, sizeof(why));
}

static void refuse(int want, const char *words)
{
	struct object object;

	assert_int_equal(open_it(&object, OBJECT_BYTES_MAX), want);
	assert_null(object.bytes);
	assert_int_equal(object.len, 0);
	assert_non_null(strstr(why, NAME));
	if (!strstr(why, words))
		fail_msg("'%s' is not in: %s", words, why);
}

static uint64_t identity_of(const void *bytes, size_t len)
{
	struct object object;

	write_file(bytes, len);
	assert_int_equal(open_it(&object, OBJECT_BYTES_MAX), 0);
	object_close(&object);
	return object.identity;
}

static void test_object_is_read_as_it_is(void **state)
{
	struct object object;

	(void)state;
	need_root();
	write_file(BYTES, LEN);
	assert_int_equal(open_it(&object, OBJECT_BYTES_MAX), 0);
	assert_int_equal(object.len, LEN);
	assert_memory_equal(object.bytes, BYTES, LEN);
	assert_int_not_equal(object.identity, 0);
	object_close(&object);
	assert_null(object.bytes);
	assert_int_not_equal(object.identity, 0);
	object_close(&object);
}

static void test_object_of_another_owner_is_refused(void **state)
{
	(void)state;
	need_root();
	write_file(BYTES, LEN);
	assert_int_equal(fchownat(dir_fd, NAME, 65534, 0, 0), 0);
	refuse(-EPERM, "chown root:root");
	assert_int_equal(fchownat(dir_fd, NAME, 0, 65534, 0), 0);
	refuse(-EPERM, "chown root:root");
}

static void test_object_that_others_can_write_is_refused(void **state)
{
	static const mode_t bad[] = {0664, 0646, 0666, 0777, 0020, 0002},
			    good[] = {0644, 0600, 0755, 0444, 0400};
	struct object object;

	(void)state;
	need_root();
	write_file(BYTES, LEN);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(fchmodat(dir_fd, NAME, bad[i], 0), 0);
		refuse(-EPERM, "chmod go-w");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(fchmodat(dir_fd, NAME, good[i], 0), 0);
		assert_int_equal(open_it(&object, OBJECT_BYTES_MAX), 0);
		object_close(&object);
	}
}

/* What is no file of ours; a FIFO must not hold the loader up either. */
static void test_object_must_be_a_regular_file(void **state)
{
	(void)state;
	need_root();
	refuse(-ENOENT, "is missing");
	assert_int_equal(mkfifoat(dir_fd, NAME, 0644), 0);
	refuse(-EPERM, "not a regular file");
	unlinkat(dir_fd, NAME, 0);
	assert_int_equal(symlinkat("/etc/hostname", dir_fd, NAME), 0);
	refuse(-ELOOP, "symbolic link");
	unlinkat(dir_fd, NAME, 0);
	assert_int_equal(mkdirat(dir_fd, NAME, 0755), 0);
	refuse(-EPERM, "not a regular file");
}

static void test_object_has_a_plausible_size(void **state)
{
	struct object object;

	(void)state;
	need_root();
	write_file("", 0);
	refuse(-EPERM, "no plausible size");
	write_file(BYTES, LEN);
	assert_int_equal(open_it(&object, LEN), 0);
	object_close(&object);
	assert_int_equal(open_it(&object, LEN - 1), -EPERM);
	assert_null(object.bytes);
	assert_non_null(strstr(why, "no plausible size"));
}

static void test_object_identity_is_that_of_its_bytes(void **state)
{
	uint64_t first, second;

	(void)state;
	need_root();
	first = identity_of(BYTES, LEN);
	second = identity_of(BYTES, LEN);
	assert_int_equal(first, second);
	/* Known values of FNV-1a: an identity must not depend on the build that computed it. */
	assert_int_equal(identity_of("a", 1), UINT64_C(0xaf63dc4c8601ec8c));
	assert_int_equal(identity_of("foobar", 6), UINT64_C(0x85944171f73967e8));
	assert_int_not_equal(identity_of(BYTES, LEN - 1), first);
	assert_int_not_equal(identity_of("\x7f"
					 "ELF, or sp\0behind a NUL",
					 LEN),
			     first);
}

static void test_object_mix_changes_the_identity(void **state)
{
	const uint64_t one = 1, two = 2;
	struct object object = {.identity = 42}, other = object;

	(void)state;
	object_mix(&object, "", 0);
	assert_int_equal(object.identity, 42);
	object_mix(&object, &one, sizeof(one));
	assert_int_not_equal(object.identity, 42);
	object_mix(&other, &two, sizeof(two));
	assert_int_not_equal(object.identity, other.identity);
	/* The order counts. */
	object_mix(&object, &two, sizeof(two));
	object_mix(&other, &one, sizeof(one));
	assert_int_not_equal(object.identity, other.identity);
}

static int open_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(fds);
	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

static void test_object_leaves_no_fd_open(void **state)
{
	int before = open_fds();
	struct object object;

	(void)state;
	need_root();
	write_file(BYTES, LEN);
	assert_int_equal(open_it(&object, OBJECT_BYTES_MAX), 0);
	object_close(&object);
	assert_int_equal(open_it(&object, 1), -EPERM);
	assert_int_equal(open_fds(), before);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(test_object_is_read_as_it_is),
		IN_DIRECTORY(test_object_of_another_owner_is_refused),
		IN_DIRECTORY(test_object_that_others_can_write_is_refused),
		IN_DIRECTORY(test_object_must_be_a_regular_file),
		IN_DIRECTORY(test_object_has_a_plausible_size),
		IN_DIRECTORY(test_object_identity_is_that_of_its_bytes),
		cmocka_unit_test(test_object_mix_changes_the_identity),
		IN_DIRECTORY(test_object_leaves_no_fd_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
