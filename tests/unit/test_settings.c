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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/settings.h"

/* The maps, and a directory in the place of the cgroup tree. */
struct bench {
	struct settings_maps maps;
	char path[32];
	int root_fd;
};

static int memory(size_t len)
{
	int fd = memfd_create("map", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int settings = memory(sizeof(struct settings));
	int hits = memory(HITS_SLOTS * sizeof(struct hits));
	int counters = memory(COUNTER_SLOTS * sizeof(struct counters));

	assert_int_equal(settings_open(&bench->maps, settings, hits, counters), 0);
	close(counters);
	close(settings);
	close(hits);
	snprintf(bench->path, sizeof(bench->path), "/tmp/settings-XXXXXX");
	assert_non_null(mkdtemp(bench->path));
	bench->root_fd = open(bench->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(bench->root_fd >= 0);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	munmap(bench->maps.settings, sizeof(struct settings));
	munmap(bench->maps.hits, HITS_SLOTS * sizeof(struct hits));
	close(bench->root_fd);
	assert_int_equal(rmdir(bench->path), 0);
	free(bench);
	return 0;
}

static uint64_t make(const struct bench *bench, const char *name)
{
	struct stat st;

	assert_int_equal(mkdirat(bench->root_fd, name, 0700), 0);
	assert_int_equal(fstatat(bench->root_fd, name, &st, 0), 0);
	return st.st_ino;
}

static void drop(const struct bench *bench, const char *name)
{
	assert_int_equal(unlinkat(bench->root_fd, name, AT_REMOVEDIR), 0);
}

/* A filter by port, and two by cgroup around it. */
static struct config config_of(const char *first, const char *second)
{
	struct config config = {.families = FAMILY_IPV4, .filter_count = 3};

	for (uint32_t i = 0; i < config.filter_count; i++)
		config_filter_init(&config.filters[i]);
	config.filters[0].match.by_cgroup = 1;
	snprintf(config.filters[0].cgroup, sizeof(config.filters[0].cgroup), "%s", first);
	config.filters[1].match.port_low = config.filters[1].match.port_high = 22;
	config.filters[2].match.by_cgroup = 1;
	snprintf(config.filters[2].cgroup, sizeof(config.filters[2].cgroup), "%s", second);
	return config;
}

static const struct settings_slot *active(const struct bench *bench)
{
	return &bench->maps.settings->slots[bench->maps.settings->active];
}

static void apply(struct bench *bench, const struct config *config, uint32_t version)
{
	settings_apply(&bench->maps, config, version, bench->root_fd);
}

static void test_settings_fill_the_other_slot(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/", "/b");
	struct stat st;

	assert_int_equal(fstat(bench->root_fd, &st), 0);
	for (uint32_t version = 1; version <= 3; version++) {
		uint32_t before = bench->maps.settings->active;

		apply(bench, &config, version);
		assert_int_equal(bench->maps.settings->active, !before);
		assert_int_equal(active(bench)->generation, version);
		assert_int_equal(active(bench)->families, FAMILY_IPV4);
		assert_int_equal(active(bench)->filter_count, 3);
		assert_int_equal(active(bench)->filters[1].port_high, 22);
		assert_int_equal(active(bench)->cgroup_count, 2);
		assert_int_equal(active(bench)->cgroups[0].filter, 0);
		assert_int_equal(active(bench)->cgroups[0].id, st.st_ino);
		assert_int_equal(active(bench)->cgroups[1].filter, 2);
		assert_int_equal(active(bench)->cgroups[1].id, 0);
		assert_int_equal(bench->maps.settings->slots[before].generation, version - 1);
		assert_int_equal(active(bench)->revision, version);
	}
}

static void test_settings_clear_the_hits_of_the_slot_they_fill(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/a", "/b");

	memset(bench->maps.hits, 0xff, HITS_SLOTS * sizeof(struct hits));
	apply(bench, &config, 1);
	for (uint32_t cpu = 0; cpu < HITS_SLOTS; cpu++) {
		for (uint32_t row = 0; row <= HITS_NONE; row++) {
			for (uint32_t column = 0; column < HITS_COLUMNS; column++) {
				const struct hits *hits = &bench->maps.hits[cpu];

				assert_int_equal(
					hits->of[bench->maps.settings->active][row][column], 0);
				assert_int_equal(
					hits->of[!bench->maps.settings->active][row][column],
					UINT64_MAX);
			}
		}
	}
}

/* What a second loader does with the maps of the first. */
static void test_settings_in_force_go_on_with_their_hits_and_ids(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/a", "/b");
	uint64_t a = make(bench, "a");
	uint32_t at;

	apply(bench, &config, 7);
	at = bench->maps.settings->active;
	bench->maps.hits[3].of[at][1][EVENT_CLOSE] = 5;
	drop(bench, "a");
	apply(bench, &config, 7);
	assert_int_equal(bench->maps.settings->active, at);
	assert_int_equal(bench->maps.hits[3].of[at][1][EVENT_CLOSE], 5);
	assert_int_equal(active(bench)->cgroups[0].id, a);
}

/* A number does not say what is in a configuration: another supervisor begins with 1, too. */
static void test_settings_of_the_same_number_and_other_content_are_new(void **state)
{
	struct bench *bench = *state;
	const struct config first = config_of("/a", "/b");
	struct config others[4] = {first, first, config_of("/c", "/b"), config_of("/b", "/a")};

	others[0].filters[1].match.port_high = 23;
	others[1].record_open = 1;
	for (size_t i = 0; i < 4; i++) {
		uint32_t before;

		apply(bench, &first, 1);
		before = bench->maps.settings->active;
		bench->maps.hits[0].of[!before][0][0] = 1;
		apply(bench, &others[i], 1);
		assert_int_equal(bench->maps.settings->active, !before);
		assert_int_equal(bench->maps.hits[0].of[!before][0][0], 0);
	}
}

static void test_settings_follow_a_cgroup(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/a/b.service", "/c");
	const struct filter_cgroup *cgroup;
	uint64_t first, second;

	apply(bench, &config, 1);
	cgroup = active(bench)->cgroups;
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 2);
	make(bench, "a");
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 2);
	first = make(bench, "a/b.service");
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 1);
	assert_int_equal(cgroup->id, first);
	assert_int_equal(cgroup->before, 0);
	assert_int_equal(active(bench)->revision, 2);
	/* Its connections may still end. */
	drop(bench, "a/b.service");
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 2);
	assert_int_equal(cgroup->id, 0);
	assert_int_equal(cgroup->before, first);
	assert_int_equal(active(bench)->revision, 3);
	make(bench, "a/other"); /* takes the inode, on a file system that uses them again */
	second = make(bench, "a/b.service");
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 1);
	assert_int_equal(cgroup->id, second);
	assert_int_equal(cgroup->before, first);
	/* Replaced between two looks. */
	drop(bench, "a/b.service");
	make(bench, "a/third");
	first = make(bench, "a/b.service");
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 1);
	assert_int_equal(cgroup->id, first);
	assert_int_equal(cgroup->before, first == second ? cgroup->before : second);
	assert_int_equal(cgroup[1].id, 0);
	drop(bench, "a/b.service");
	drop(bench, "a/other");
	drop(bench, "a/third");
	drop(bench, "a");
}

static void test_settings_take_only_a_directory_for_a_cgroup(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/file", "/link");
	int fd = openat(bench->root_fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(symlinkat("/", bench->root_fd, "link"), 0);
	apply(bench, &config, 1);
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, bench->root_fd), 2);
	assert_int_equal(unlinkat(bench->root_fd, "file", 0), 0);
	assert_int_equal(unlinkat(bench->root_fd, "link", 0), 0);
}

static void test_settings_go_without_a_tree(void **state)
{
	struct bench *bench = *state;
	struct config config = config_of("/", "/b");

	settings_apply(&bench->maps, &config, 1, -1);
	assert_int_equal(settings_find_cgroups(&bench->maps, &config, -1), 2);
	assert_int_equal(active(bench)->cgroups[0].id, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_settings_fill_the_other_slot),
		TEST(test_settings_clear_the_hits_of_the_slot_they_fill),
		TEST(test_settings_in_force_go_on_with_their_hits_and_ids),
		TEST(test_settings_of_the_same_number_and_other_content_are_new),
		TEST(test_settings_follow_a_cgroup),
		TEST(test_settings_take_only_a_directory_for_a_cgroup),
		TEST(test_settings_go_without_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
