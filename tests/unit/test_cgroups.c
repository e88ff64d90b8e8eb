/* SPDX-License-Identifier: Apache-2.0 */
/* On directories of the file system of /tmp: to the module they are as good as cgroups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/cgroups.h"
#include "tests/unit/tree.h"

#define MAX 64u

/* So long after the last one that the tree may be listed, and nothing is known to be absent. */
#define LATER_MS 100000u

static struct cgroups cgroups;
static char root[64];
static int dir_fd;
static uint64_t now_ms;

/* Directories removed, kept so that no other gets the number of one. Those of cgroups are unique.
 */
static int held[8];
static uint32_t held_count;

static int make_tree(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/conntrace-cgroups-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	dir_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	now_ms = 1000000;
	return dir_fd < 0 ? -1 : 0;
}

static int remove_tree(void **state)
{
	(void)state;
	cgroups_close(&cgroups);
	while (held_count)
		close(held[--held_count]);
	close(dir_fd);
	(void)tree_remove(root);
	return 0;
}

static uint64_t id_of(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(dir_fd, path, &st, 0), 0);
	return st.st_ino;
}

static uint64_t make(const char *path)
{
	assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
	return id_of(path);
}

static void destroy(const char *path)
{
	assert_true(held_count < sizeof(held) / sizeof(held[0]));
	held[held_count++] = openat(dir_fd, path, O_PATH | O_CLOEXEC);
	assert_int_equal(unlinkat(dir_fd, path, AT_REMOVEDIR), 0);
}

static void start(uint32_t max, bool watch)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(cgroups_open(&cgroups, fd, max, watch, now_ms), 0);
	assert_int_equal(cgroups.watch_fd >= 0, watch);
	assert_int_equal(cgroups.scans, 1);
}

static void expect(uint64_t id, const char *path)
{
	const struct cgroup_name *name = cgroups_find(&cgroups, id, now_ms);

	if ((name == NULL) != (path == NULL) || (path && strcmp(name->path, path) != 0))
		fail_msg("%llu: %s, expected %s", (unsigned long long)id,
			 name ? name->path : "none", path ? path : "none");
}

static void test_cgroups_without_a_root_nothing_is_known(void **state)
{
	(void)state;
	assert_int_equal(cgroups_open(&cgroups, -1, MAX, true, now_ms), 0);
	expect(1, NULL);
	cgroups_refresh(&cgroups, now_ms);
	assert_int_equal(cgroups.root_fd, -1);
}

static void test_cgroups_the_whole_tree_is_known(void **state)
{
	uint64_t a = make("a"), b = make("a/b"), c = make("a/b/c"), d = make("d.service");
	int file = openat(dir_fd, "a/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	(void)state;
	assert_true(file >= 0);
	close(file);
	assert_int_equal(symlinkat("a", dir_fd, "link"), 0);
	start(MAX, true);
	expect(id_of("."), "/");
	expect(a, "/a");
	expect(b, "/a/b");
	expect(c, "/a/b/c");
	expect(d, "/d.service");
	expect(id_of("a/file"), NULL);
	expect(0, NULL);
	assert_int_equal(cgroups.cache.count, 5);
	assert_int_equal(cgroups.unknown, 1);
	assert_false(cgroups.incomplete);
}

static void test_cgroups_what_is_gone_is_known(void **state)
{
	uint64_t a = make("a"), b;

	(void)state;
	start(MAX, true);
	b = make("a/b");
	cgroups_refresh(&cgroups, now_ms);
	destroy("a/b");
	destroy("a");
	cgroups_refresh(&cgroups, now_ms);
	expect(b, "/a/b");
	expect(a, "/a");
	assert_int_equal(cgroup_cache_find(&cgroups.cache, b)->watch, -1);
	assert_int_equal(cgroups.scans, 1);
}

static void test_cgroups_a_new_one_is_known_without_listing_the_tree(void **state)
{
	uint64_t deep;

	(void)state;
	start(MAX, true);
	make("a");
	make("a/b");
	deep = make("a/b/c");
	expect(deep, "/a/b/c");
	deep = make("a/b/c/d");
	expect(deep, "/a/b/c/d");
	assert_int_equal(cgroups.scans, 1);
}

static void test_cgroups_one_made_again_is_another(void **state)
{
	uint64_t first = make("a"), second;

	(void)state;
	start(MAX, true);
	destroy("a");
	second = make("a");
	assert_true(second != first);
	expect(second, "/a");
	expect(first, "/a");
	assert_int_equal(cgroup_cache_find(&cgroups.cache, first)->watch, -1);
	expect(make("a/b"), "/a/b");
}

static void test_cgroups_unwatched_an_unknown_id_lists_the_tree(void **state)
{
	uint64_t a;

	(void)state;
	start(MAX, false);
	a = make("a");
	expect(a, NULL); /* too soon */
	assert_int_equal(cgroups.scans, 1);
	now_ms += CGROUPS_SCAN_MS;
	expect(a, "/a");
	assert_int_equal(cgroups.scans, 2);
	destroy("a");
	expect(a, "/a");
	assert_int_equal(cgroups.scans, 2);
}

static void test_cgroups_what_was_not_found_is_not_looked_for_at_once(void **state)
{
	(void)state;
	start(MAX, false);
	now_ms += LATER_MS;
	expect(UINT64_MAX, NULL);
	assert_int_equal(cgroups.scans, 2);
	for (int i = 0; i < 9; i++) {
		now_ms += CGROUPS_ABSENT_MS / 10;
		expect(UINT64_MAX, NULL);
	}
	assert_int_equal(cgroups.scans, 2);
	now_ms += CGROUPS_ABSENT_MS / 10;
	expect(UINT64_MAX, NULL);
	assert_int_equal(cgroups.scans, 3);
	assert_int_equal(cgroups.unknown, 11);
}

static void test_cgroups_watched_an_unknown_id_costs_no_listing(void **state)
{
	(void)state;
	start(MAX, true);
	for (uint64_t id = 1; id < 100; id++) {
		now_ms += LATER_MS;
		expect(UINT64_MAX - id, NULL);
	}
	assert_int_equal(cgroups.scans, 1);
}

static void make_many(const char *in, uint32_t count, uint64_t *ids)
{
	char path[128];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%u", in, i);
		ids[i] = make(path);
	}
}

static void test_cgroups_more_than_have_room_push_out_only_each_other(void **state)
{
	static uint64_t ids[4 * MAX];
	uint64_t used, gone, made;

	(void)state;
	used = make("used");
	start(MAX, true);
	gone = make("gone");
	expect(gone, "/gone");
	expect(used, "/used");
	destroy("gone");
	make("many");
	make_many("many", 4 * MAX, ids);
	cgroups_refresh(&cgroups, now_ms);
	assert_int_equal(cgroups.cache.count, MAX);
	assert_true(cgroups.evicted > 0);
	expect(gone, "/gone");
	expect(used, "/used");
	/* Those without room, and those whose parent lost its watch, are found by listing. */
	now_ms += LATER_MS;
	expect(ids[0], "/many/0");
	made = make("many/more");
	now_ms += LATER_MS;
	expect(made, "/many/more");
	expect(gone, "/gone");
}

static void test_cgroups_a_rush_costs_no_more_than_the_credit(void **state)
{
	static uint64_t ids[200];
	uint64_t last;

	(void)state;
	make("many");
	make_many("many", 200, ids);
	start(4, false);
	/* The room of 4 lists no more than that of 512 names. */
	assert_int_equal(cgroups.credit, 0);
	assert_true(cgroups.incomplete);
	last = cgroups.scans;
	expect(ids[199], NULL);
	now_ms += 1; /* a little credit is not enough */
	expect(ids[198], NULL);
	assert_int_equal(cgroups.scans, last);
	now_ms += LATER_MS;
	expect(UINT64_MAX, NULL);
	assert_int_equal(cgroups.scans, last + 1);
}

static void test_cgroups_after_a_rush_of_events_the_tree_is_listed(void **state)
{
	static uint64_t ids[200];

	(void)state;
	make("many");
	start(4, true);
	for (int round = 0; round < 5; round++) {
		char path[16];

		snprintf(path, sizeof(path), "many%d", round);
		make(path);
		make_many(path, 30, ids);
	}
	cgroups_refresh(&cgroups, now_ms);
	assert_true(cgroups.overrun);
	assert_int_equal(cgroups.scans, 1);
	for (int i = 0; i < 10 && cgroups.overrun; i++) {
		now_ms += LATER_MS;
		cgroups_refresh(&cgroups, now_ms);
	}
	assert_int_equal(cgroups.scans, 2);
	assert_false(cgroups.overrun);
}

static void test_cgroups_what_is_too_deep_or_too_long_is_left_out(void **state)
{
	char path[2048] = "", name[200];
	uint64_t ids[CGROUPS_DEPTH_MAX + 8];
	int fd = dup(dir_fd);

	(void)state;
	for (uint32_t i = 0; i < CGROUPS_DEPTH_MAX + 8; i++) {
		memcpy(path + 2 * i, "d", 2);
		ids[i] = make(path);
		path[2 * i + 1] = '/';
	}
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 4; i++) {
		int next;

		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
	start(MAX, true);
	assert_non_null(cgroups_find(&cgroups, ids[CGROUPS_DEPTH_MAX - 2], now_ms));
	expect(ids[CGROUPS_DEPTH_MAX + 1], NULL);
	/* The root, so many deep, and two of the long names. */
	assert_int_equal(cgroups.cache.count, 1 + (CGROUPS_DEPTH_MAX - 1) + 2);
}

static void test_cgroups_a_directory_that_cannot_be_listed_is_known(void **state)
{
	uint64_t closed = make("closed"), inner = make("closed/in");
	bool root_user = geteuid() == 0;

	(void)state;
	assert_int_equal(fchmodat(dir_fd, "closed", 0, 0), 0);
	assert_int_equal(fchmodat(dir_fd, ".", 0755, 0), 0);
	/* Root lists everything. */
	if (root_user)
		assert_int_equal(seteuid(65534), 0);
	start(MAX, true);
	expect(closed, "/closed");
	assert_false(cgroups.incomplete);
	if (root_user)
		assert_int_equal(seteuid(0), 0);
	expect(inner, NULL);
	assert_int_equal(fchmodat(dir_fd, "closed", 0755, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cgroups_without_a_root_nothing_is_known),
		TEST(test_cgroups_the_whole_tree_is_known),
		TEST(test_cgroups_what_is_gone_is_known),
		TEST(test_cgroups_a_new_one_is_known_without_listing_the_tree),
		TEST(test_cgroups_one_made_again_is_another),
		TEST(test_cgroups_unwatched_an_unknown_id_lists_the_tree),
		TEST(test_cgroups_what_was_not_found_is_not_looked_for_at_once),
		TEST(test_cgroups_watched_an_unknown_id_costs_no_listing),
		TEST(test_cgroups_more_than_have_room_push_out_only_each_other),
		TEST(test_cgroups_a_rush_costs_no_more_than_the_credit),
		TEST(test_cgroups_after_a_rush_of_events_the_tree_is_listed),
		TEST(test_cgroups_what_is_too_deep_or_too_long_is_left_out),
		TEST(test_cgroups_a_directory_that_cannot_be_listed_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
