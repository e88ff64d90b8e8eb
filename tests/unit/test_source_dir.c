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

#include "poller/source_dir.h"
#include "tests/unit/tree.h"

static struct source_texts texts;
static char root[64], why[256];
static int dir_fd;

static int make_directory(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/conntrace-source-XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	dir_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
	(void)state;
	close(dir_fd);
	(void)tree_remove(root);
	return 0;
}

static void put_bytes(const char *name, const char *bytes, size_t len)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static uint64_t hash(void)
{
	struct source_look found = {
		.what = texts.what, .bytes = texts.bytes, .len_bytes = texts.len_bytes};

	return source_look_hash(&found);
}

static void look(void)
{
	if (source_dir_read(dir_fd, &texts, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

/* The error names the file and what helps. */
static void refuse(int err, const char *name, const char *what)
{
	why[0] = '\0';
	assert_int_equal(source_dir_read(dir_fd, &texts, why, sizeof(why)), err);
	if (!strstr(why, name) || !strstr(why, what))
		fail_msg("%s", why);
}

static void test_source_dir_reads_texts_in_order_of_names(void **state)
{
	(void)state;
	put("20-b.yaml", "bb");
	put("10-a.yaml", "a");
	put("B.yaml", "");
	put("30-c.yaml", "ccc");
	look();
	assert_int_equal(texts.what.part_count, 4);
	assert_string_equal(texts.what.parts[0].name, "10-a.yaml");
	assert_string_equal(texts.what.parts[1].name, "20-b.yaml");
	assert_string_equal(texts.what.parts[2].name, "30-c.yaml");
	assert_string_equal(texts.what.parts[3].name, "B.yaml");
	assert_int_equal(texts.what.parts[2].len_bytes, 3);
	assert_int_equal(texts.what.parts[3].len_bytes, 0);
	assert_int_equal(texts.len_bytes, 6);
	assert_memory_equal(texts.bytes, "abbccc", 6);
}

static void test_source_dir_passes_over_other_names(void **state)
{
	(void)state;
	put(".hidden.yaml", "x");
	put(".yaml", "x");
	put("yaml", "x");
	put("a.yml", "x");
	put("a.yaml.tmp", "x");
	put("a.yaml~", "x");
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "link"), 0);
	look();
	assert_int_equal(texts.what.part_count, 0);
	assert_int_equal(texts.len_bytes, 0);
}

static void test_source_dir_looks_anew_each_time(void **state)
{
	uint64_t before;

	(void)state;
	put("a.yaml", "1");
	look();
	before = hash();
	look();
	assert_int_equal(hash(), before);
	put("a.yaml", "2");
	look();
	assert_int_not_equal(hash(), before);
	put("a.yaml", "1");
	look();
	assert_int_equal(hash(), before);
}

/* The same bytes under another name or parted elsewhere are another configuration. */
static void test_source_dir_hashes_names_and_lengths(void **state)
{
	uint64_t hashes[4];

	(void)state;
	look();
	hashes[0] = hash();
	put("a.yaml", "12");
	look();
	hashes[1] = hash();
	assert_int_equal(renameat(dir_fd, "a.yaml", dir_fd, "b.yaml"), 0);
	look();
	hashes[2] = hash();
	put("a.yaml", "1");
	put("b.yaml", "2");
	look();
	hashes[3] = hash();
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_int_not_equal(hashes[i], hashes[j]);
}

static void test_source_dir_refuses_what_others_may_write(void **state)
{
	(void)state;
	put("a.yaml", "x");
	assert_int_equal(fchmodat(dir_fd, "a.yaml", 0664, 0), 0);
	refuse(-EPERM, "a.yaml", "chmod go-w");
	assert_int_equal(fchmodat(dir_fd, "a.yaml", 0646, 0), 0);
	refuse(-EPERM, "a.yaml", "chmod go-w");
	assert_int_equal(fchmodat(dir_fd, "a.yaml", 0600, 0), 0);
	look();
	assert_int_equal(fchmod(dir_fd, 0775), 0);
	refuse(-EPERM, "source directory", "chmod go-w");
	assert_int_equal(fchmod(dir_fd, 01777), 0);
	refuse(-EPERM, "source directory", "chmod go-w");
}

static void test_source_dir_refuses_what_belongs_to_others(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	put("a.yaml", "x");
	assert_int_equal(fchownat(dir_fd, "a.yaml", 65533, 65533, 0), 0);
	refuse(-EPERM, "a.yaml", "chown root");
	assert_int_equal(fchownat(dir_fd, "a.yaml", 0, 0, 0), 0);
	look();
	assert_int_equal(fchown(dir_fd, 65533, 65533), 0);
	refuse(-EPERM, "source directory", "chown root");
}

static void test_source_dir_refuses_links_and_special_files(void **state)
{
	(void)state;
	put("target", "x");
	assert_int_equal(symlinkat("target", dir_fd, "a.yaml"), 0);
	refuse(-ELOOP, "a.yaml", "no links");
	assert_int_equal(unlinkat(dir_fd, "a.yaml", 0), 0);
	/* Opening it must not wait for a writer. */
	assert_int_equal(mkfifoat(dir_fd, "a.yaml", 0600), 0);
	refuse(-EINVAL, "a.yaml", "not a regular file");
	assert_int_equal(unlinkat(dir_fd, "a.yaml", 0), 0);
	assert_int_equal(mkdirat(dir_fd, "a.yaml", 0700), 0);
	refuse(-EINVAL, "a.yaml", "not a regular file");
}

static void test_source_dir_bounds_a_file_and_all_files(void **state)
{
	static char bytes[CONFIG_TEXT_MAX + 1];
	char name[32];

	(void)state;
	put_bytes("00.yaml", bytes, CONFIG_TEXT_MAX);
	look();
	assert_int_equal(texts.len_bytes, CONFIG_TEXT_MAX);
	put_bytes("00.yaml", bytes, CONFIG_TEXT_MAX + 1);
	refuse(-EFBIG, "00.yaml", "64 KiB");
	for (uint32_t i = 0; i < SOURCE_BYTES_MAX / CONFIG_TEXT_MAX; i++) {
		snprintf(name, sizeof(name), "%02u.yaml", i);
		put_bytes(name, bytes, CONFIG_TEXT_MAX);
	}
	look();
	assert_int_equal(texts.len_bytes, SOURCE_BYTES_MAX);
	put("zz.yaml", "x");
	refuse(-EFBIG, "zz.yaml", "960 KiB");
}

/* "000...0.yaml", of len bytes. */
static void long_name(char *name, size_t cap, uint32_t len)
{
	snprintf(name, cap, "%0*d.yaml", (int)(len - strlen(".yaml")), 0);
	assert_int_equal(strlen(name), len);
}

static void test_source_dir_bounds_names_and_entries(void **state)
{
	char name[128];

	(void)state;
	for (uint32_t i = 0; i < MSG_PARTS_MAX; i++) {
		snprintf(name, sizeof(name), "%02u.yaml", i);
		put(name, "x");
	}
	look();
	assert_int_equal(texts.what.part_count, MSG_PARTS_MAX);
	put("zz.yaml", "x");
	refuse(-E2BIG, ".yaml", "at most 32");
	assert_int_equal(unlinkat(dir_fd, "zz.yaml", 0), 0);
	assert_int_equal(unlinkat(dir_fd, "00.yaml", 0), 0);
	long_name(name, sizeof(name), CONFIG_NAME_MAX - 1);
	put(name, "x");
	look();
	long_name(name, sizeof(name), CONFIG_NAME_MAX);
	put(name, "x");
	refuse(-ENAMETOOLONG, name, "rename it");
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
	for (uint32_t i = 0; i < SOURCE_ENTRIES_MAX; i++) {
		snprintf(name, sizeof(name), "other-%u", i);
		assert_int_equal(symlinkat("x", dir_fd, name), 0);
	}
	refuse(-E2BIG, "source directory", "4096 entries");
}

/* Gone is not empty: an empty one would take configuration back. */
static void test_source_dir_tells_gone_from_empty(void **state)
{
	(void)state;
	look();
	assert_int_equal(texts.what.part_count, 0);
	assert_int_equal(rmdir(root), 0);
	refuse(-ENOENT, "source directory", "was removed");
	assert_int_equal(mkdir(root, 0755), 0);
	refuse(-ENOENT, "source directory", "reload conntraced");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_source_dir_reads_texts_in_order_of_names),
		TEST(test_source_dir_passes_over_other_names),
		TEST(test_source_dir_looks_anew_each_time),
		TEST(test_source_dir_hashes_names_and_lengths),
		TEST(test_source_dir_refuses_what_others_may_write),
		TEST(test_source_dir_refuses_what_belongs_to_others),
		TEST(test_source_dir_refuses_links_and_special_files),
		TEST(test_source_dir_bounds_a_file_and_all_files),
		TEST(test_source_dir_bounds_names_and_entries),
		TEST(test_source_dir_tells_gone_from_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
