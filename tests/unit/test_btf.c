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

#include "loader/btf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MACHINE  "x86_64"
#define RELEASE  "5.10.0-32-cloud-amd64"
#define PART_MAX 48 /* with its NUL */
#define BEHIND   "-" MACHINE "-" RELEASE ".btf"

/* --- the archive's file name --- */

static char name[192];

static int name_of(const char *os_release)
{
	memset(name, 'x', sizeof(name));
	return btf_archive_name(os_release, MACHINE, RELEASE, name, sizeof(name));
}

static void test_btf_archive_name_from_an_os_release(void **state)
{
	static const struct {
		const char *os_release, *name;
	} rows[] = {
		{"ID=debian\nVERSION_ID=\"12\"\n", "debian-12" BEHIND},
		{"ID='ol'\nVERSION_ID='8.9'\n", "ol-8.9" BEHIND},
		{"ID=\"amzn\"\nVERSION_ID=2\n", "amzn-2" BEHIND},
		{"ID=arch\n", "arch-rolling" BEHIND},
		{"ID=arch\nVERSION_ID=\"\"\n", "arch-rolling" BEHIND},
		{"ID=arch\nVERSION_ID=", "arch-rolling" BEHIND},
		{"ID=alpine", "alpine-rolling" BEHIND},
		{"ID=debian\nVERSION_ID=12", "debian-12" BEHIND},
		{"NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nVERSION_ID=\"7\"\n"
		 "ID_LIKE=\"rhel fedora\"\nID=\"centos\"\nVARIANT_ID=server\nCPE_NAME=\"cpe:/o\"\n",
		 "centos-7" BEHIND},
		{"#ID=evil\n ID=evil\nXID=evil\n\nID=debian\n#VERSION_ID=1\nBUILD_VERSION_ID=2\n",
		 "debian-rolling" BEHIND},
		{"ID=opensuse-leap\nVERSION_ID=15.5~rc_1+b\n", "opensuse-leap-15.5~rc_1+b" BEHIND},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(name_of(rows[i].os_release), 0);
		assert_string_equal(name, rows[i].name);
	}
}

static void test_btf_archive_name_takes_no_other_characters(void **state)
{
	static const char *const texts[] = {
		"",
		"ID=\nVERSION_ID=1\n",
		"ID=\"\"\n",
		"VERSION_ID=12\n",
		"ID_LIKE=debian\n",
		"ID=../../etc/shadow\n",
		"ID=..\n",
		"ID=.hidden\n",
		"ID=/etc\n",
		"ID=a/b\n",
		"ID=\"a b\"\n",
		"ID=debian \n",
		"ID=debian\r\nVERSION_ID=12\r\n",
		"ID=debi\001an\n",
		"ID=d\303\251bian\n",
		"ID=$(reboot)\n",
		"ID=a\\b\n",
		"ID=%s%n\n",
		"ID=debian\nVERSION_ID=../12\n",
		"ID=debian\nVERSION_ID=1/2\n",
		"ID=debian\nVERSION_ID=.\n",
		"ID=debian\nVERSION_ID=\"12 \"\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (name_of(texts[i]) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
}

static void test_btf_archive_name_takes_no_strange_kernel(void **state)
{
	static const char *const parts[] = {"", ".", "..", "../x", "a/b", "a b", "a\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++) {
		assert_int_equal(
			btf_archive_name("ID=debian\n", parts[i], RELEASE, name, sizeof(name)),
			-EINVAL);
		assert_int_equal(
			btf_archive_name("ID=debian\n", MACHINE, parts[i], name, sizeof(name)),
			-EINVAL);
	}
}

/* A part that was cut would be another one's name. */
static void test_btf_archive_name_has_whole_parts_or_none(void **state)
{
	char value[64], text[128];

	(void)state;
	for (int len = 1; len < (int)sizeof(value); len++) {
		int want = len < PART_MAX ? 0 : -EINVAL;

		memset(value, 'v', sizeof(value));
		snprintf(text, sizeof(text), "ID=%.*s\nVERSION_ID=1\n", len, value);
		assert_int_equal(name_of(text), want);
		snprintf(text, sizeof(text), "VERSION_ID=%.*s\nID=x\n", len, value);
		assert_int_equal(name_of(text), want);
		if (want == 0)
			assert_int_equal(strlen(name), (size_t)len + strlen("x-" BEHIND));
	}
}

static void test_btf_archive_name_fits_or_is_refused(void **state)
{
	const char *whole = "debian-12" BEHIND;

	(void)state;
	for (size_t cap = 1; cap <= strlen(whole); cap++)
		assert_int_equal(
			btf_archive_name("ID=debian\nVERSION_ID=12\n", MACHINE, RELEASE, name, cap),
			-EINVAL);
	assert_int_equal(btf_archive_name("ID=debian\nVERSION_ID=12\n", MACHINE, RELEASE, name,
					  strlen(whole) + 1),
			 0);
	assert_string_equal(name, whole);
}

/* --- the file that is named --- */

static char directory[64], path[96];

static int make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/conntrace-btf-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/vmlinux.btf", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory);
}

static void write_file(const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* trusted files are root's */
}

/* BTF without a type: a header and the empty string. include/uapi/linux/btf.h */
static const struct {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len, type_off, type_len, str_off, str_len;
	char strings[4];
} small = {0xeb9f, 1, 0, 24, 0, 0, 0, 1, ""};

static int find(struct btf_choice *choice, char *what, size_t cap)
{
	return btf_find(choice, path, AT_FDCWD, what, cap);
}

static void test_btf_find_takes_the_named_file(void **state)
{
	struct btf_choice choice;
	char what[256];
	int fd;

	(void)state;
	need_root();
	write_file(&small, sizeof(small));
	assert_int_equal(find(&choice, what, sizeof(what)), 0);
	assert_int_equal(choice.source, BTF_NAMED);
	assert_non_null(strstr(what, path));
	/* What libbpf gets is what was checked, whatever becomes of the file. */
	fd = open(choice.path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(small));
	close(fd);
	fd = choice.fd;
	btf_drop(&choice);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(choice.fd, -1);
	assert_null(choice.kernel);
}

static void test_btf_find_refuses_a_named_file_that_is_none(void **state)
{
	static const char text[] = "no type at all";
	struct btf_choice choice;
	char what[256];

	(void)state;
	need_root();
	write_file(text, sizeof(text));
	assert_int_equal(find(&choice, what, sizeof(what)), -EINVAL);
	assert_non_null(strstr(what, "holds no BTF"));
	assert_int_equal(choice.fd, -1);
	assert_null(choice.kernel);
	unlink(path);
	assert_int_equal(find(&choice, what, sizeof(what)), -ENOENT);
	assert_int_equal(choice.fd, -1);
}

static void test_btf_find_does_not_trust_what_others_could_write(void **state)
{
	struct btf_choice choice;
	char what[256];

	(void)state;
	need_root();
	write_file(&small, sizeof(small));
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(find(&choice, what, sizeof(what)), -EPERM);
	assert_non_null(strstr(what, "writable by others"));
	assert_int_equal(choice.fd, -1);
}

static void test_btf_every_source_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(btf_source_name(BTF_NAMED), "named");
	assert_string_equal(btf_source_name(BTF_KERNEL), "kernel");
	assert_string_equal(btf_source_name(BTF_ARCHIVE), "archive");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_btf_archive_name_from_an_os_release),
		cmocka_unit_test(test_btf_archive_name_takes_no_other_characters),
		cmocka_unit_test(test_btf_archive_name_takes_no_strange_kernel),
		cmocka_unit_test(test_btf_archive_name_has_whole_parts_or_none),
		cmocka_unit_test(test_btf_archive_name_fits_or_is_refused),
		IN_DIRECTORY(test_btf_find_takes_the_named_file),
		IN_DIRECTORY(test_btf_find_refuses_a_named_file_that_is_none),
		IN_DIRECTORY(test_btf_find_does_not_trust_what_others_could_write),
		cmocka_unit_test(test_btf_every_source_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
