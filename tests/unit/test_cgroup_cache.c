/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "record/cgroup_cache.h"

#define MAX 16u

static struct cgroup_cache cache;

static int setup(void **state)
{
	(void)state;
	return cgroup_cache_open(&cache, MAX);
}

static int teardown(void **state)
{
	(void)state;
	cgroup_cache_close(&cache);
	return 0;
}

static void add(uint64_t id)
{
	struct cgroup_entry *entry = cgroup_cache_add(&cache, id);

	assert_int_equal(entry->id, id);
	assert_int_equal(entry->watch, -1);
	assert_ptr_equal(cgroup_cache_find(&cache, id), entry);
	snprintf(entry->name.path, sizeof(entry->name.path), "/%llu", (unsigned long long)id);
}

static void ask(uint64_t id)
{
	assert_non_null(cgroup_cache_find(&cache, id));
	cgroup_cache_touch(&cache, cgroup_cache_find(&cache, id));
}

static uint32_t known(uint64_t first, uint64_t last)
{
	uint32_t count = 0;

	for (uint64_t id = first; id <= last; id++)
		count += cgroup_cache_find(&cache, id) != NULL;
	return count;
}

static void test_cgroup_cache_finds_what_was_put(void **state)
{
	(void)state;
	assert_null(cgroup_cache_find(&cache, 0));
	for (uint64_t id = 0; id < MAX; id++)
		add(id << 32);
	for (uint64_t id = 0; id < MAX; id++)
		assert_int_equal(cgroup_cache_find(&cache, id << 32)->id, id << 32);
	assert_null(cgroup_cache_find(&cache, MAX));
	assert_int_equal(cache.count, MAX);
}

static void test_cgroup_cache_the_oldest_makes_room(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= MAX; id++) {
		assert_null(cgroup_cache_victim(&cache));
		add(id);
	}
	for (uint64_t id = MAX + 1; id <= 10 * MAX; id++) {
		assert_int_equal(cgroup_cache_victim(&cache)->id, id - MAX);
		add(id);
		assert_null(cgroup_cache_find(&cache, id - MAX));
	}
	assert_int_equal(known(1, 10 * MAX), MAX);
}

static void test_cgroup_cache_what_was_asked_for_stays(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= MAX; id++)
		add(id);
	for (uint64_t id = 1; id <= MAX / 4 * 3; id++)
		ask(id);
	for (uint64_t id = 100; id < 1000; id++)
		add(id);
	assert_int_equal(known(1, MAX), MAX / 4 * 3);
}

static void test_cgroup_cache_asked_for_longest_ago_goes_first(void **state)
{
	const uint64_t kept = MAX / 4 * 3;

	(void)state;
	for (uint64_t id = 1; id <= MAX; id++)
		add(id);
	for (uint64_t id = 1; id <= kept + 2; id++)
		ask(id);
	ask(3);
	for (uint64_t id = 100; id < 1000; id++)
		add(id);
	assert_int_equal(known(1, 2), 0);
	assert_int_equal(known(3, kept + 2), kept);
	for (uint64_t id = 999; id > 999 - 2; id--)
		ask(id);
	for (uint64_t id = 1000; id < 2000; id++)
		add(id);
	assert_int_equal(known(3, 3), 1);
	assert_int_equal(known(4, 5), 0);
	assert_int_equal(known(6, kept + 2), kept - 3);
}

static void test_cgroup_cache_everything_asked_for_still_leaves_a_victim(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 50 * MAX; id++) {
		add(id);
		ask(id);
		ask(id);
	}
	assert_int_equal(known(1, 50 * MAX), MAX);
	assert_int_equal(cache.lists[0].count + cache.lists[1].count, MAX);
}

static void test_cgroup_cache_a_watch_and_its_path(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 3; id++)
		add(id);
	assert_null(cgroup_cache_at_watch(&cache, -1));
	assert_null(cgroup_cache_at_path(&cache, "/2"));
	cgroup_cache_find(&cache, 2)->watch = 7;
	assert_int_equal(cgroup_cache_at_watch(&cache, 7)->id, 2);
	assert_int_equal(cgroup_cache_at_path(&cache, "/2")->id, 2);
	assert_null(cgroup_cache_at_watch(&cache, 8));
	assert_null(cgroup_cache_at_path(&cache, "/1"));
}

static void test_cgroup_cache_refuses_a_size_that_makes_no_sense(void **state)
{
	struct cgroup_cache other;

	(void)state;
	assert_int_equal(cgroup_cache_open(&other, 0), -EINVAL);
	assert_int_equal(cgroup_cache_open(&other, 3), -EINVAL);
	assert_int_equal(cgroup_cache_open(&other, UINT32_MAX), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cgroup_cache_finds_what_was_put),
		TEST(test_cgroup_cache_the_oldest_makes_room),
		TEST(test_cgroup_cache_what_was_asked_for_stays),
		TEST(test_cgroup_cache_asked_for_longest_ago_goes_first),
		TEST(test_cgroup_cache_everything_asked_for_still_leaves_a_victim),
		TEST(test_cgroup_cache_a_watch_and_its_path),
		TEST(test_cgroup_cache_refuses_a_size_that_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
