/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/memfd.h"

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static void refuse(int fd, size_t len)
{
	char *bytes = NULL;

	assert_true(fd >= 0);
	assert_int_equal(memfd_read(fd, len, &bytes), -EPROTO);
	assert_null(bytes);
	close(fd);
}

static int sealed_by(int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_memfd_reads_what_was_sealed(void **state)
{
	static char large[1 << 20];
	const size_t lengths[] = {0, 1, 4096, sizeof(large)};

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 7);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int fd = memfd_seal("test", large, lengths[i]);
		char *bytes = NULL;

		assert_true(fd >= 0);
		assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(memfd_read(fd, lengths[i], &bytes), 0);
		assert_memory_equal(bytes, large, lengths[i]);
		assert_int_equal(bytes[lengths[i]], '\0');
		free(bytes);
		close(fd);
	}
}

static void test_memfd_reads_whatever_the_position(void **state)
{
	int fd = memfd_seal("test", "abc", 3);
	char *bytes = NULL;

	(void)state;
	lseek(fd, 2, SEEK_SET);
	assert_int_equal(memfd_read(fd, 3, &bytes), 0);
	assert_string_equal(bytes, "abc");
	free(bytes);
	close(fd);
}

static void test_memfd_cannot_be_changed_when_sealed(void **state)
{
	int fd = memfd_seal("test", "abc", 3);

	(void)state;
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 9), -1);
	assert_ptr_equal(mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

static void test_memfd_refuses_any_seal_missing(void **state)
{
	static const int seals[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_SEAL};

	(void)state;
	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++)
		refuse(sealed_by(ALL_SEALS & ~seals[i]), 3);
	refuse(memfd_create("test", MFD_CLOEXEC), 0);
	refuse(sealed_by(0), 3);
}

static void test_memfd_refuses_another_length(void **state)
{
	(void)state;
	refuse(memfd_seal("test", "abc", 3), 2);
	refuse(memfd_seal("test", "abc", 3), 4);
	refuse(memfd_seal("test", "abc", 3), 0);
	refuse(memfd_seal("test", "", 0), SIZE_MAX);
}

static void test_memfd_refuses_what_is_none(void **state)
{
	int ends[2];

	(void)state;
	refuse(open("/dev/zero", O_RDONLY | O_CLOEXEC), 3);
	refuse(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 3);
	assert_int_equal(pipe(ends), 0);
	refuse(ends[0], 3);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memfd_reads_what_was_sealed),
		cmocka_unit_test(test_memfd_reads_whatever_the_position),
		cmocka_unit_test(test_memfd_cannot_be_changed_when_sealed),
		cmocka_unit_test(test_memfd_refuses_any_seal_missing),
		cmocka_unit_test(test_memfd_refuses_another_length),
		cmocka_unit_test(test_memfd_refuses_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
