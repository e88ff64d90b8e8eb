/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bundle.h"
#include "common/memfd.h"
#include "supervisor/store.h"
#include "tests/unit/tree.h"

#define ROOT "the root"

static struct store store;
static char dir[64];

static int make_directory(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conntrace-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	store_open(&store, dir, ROOT, sizeof(ROOT));
	return store.trouble[0] ? -1 : 0;
}

static int remove_directory(void **state)
{
	(void)state;
	store_close(&store);
	(void)tree_remove(dir);
	return 0;
}

static void reopen(const char *root)
{
	store_close(&store);
	store_open(&store, dir, root, strlen(root) + 1);
}

/* Bytes that a file may have on disk; a memfd must have its own. */
static rlim_t room = RLIM_INFINITY;

static void limit_files(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int keep(const char *name, uint32_t why, const char *text)
{
	struct msg_file file = {.why = why, .len_bytes = text ? (uint32_t)strlen(text) : 0};
	int fd = memfd_seal("test", text ? text : "", file.len_bytes);
	int err;

	assert_true(fd >= 0);
	snprintf(file.name, sizeof(file.name), "%s", name);
	limit_files(room);
	err = store_keep(&store, &file, fd, file.len_bytes);
	limit_files(RLIM_INFINITY);
	close(fd);
	return err;
}

/* What a file holds on disk; "-" if it isn't there. */
static const char *on_disk(const char *name)
{
	static char text[256];
	char path[256];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/" STORE_FOLDER "/%s", dir, name);
	file = fopen(path, "rbe");
	if (!file)
		return "-";
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	return text;
}

static bool in_memory(const char *name)
{
	for (uint32_t i = 0; i < store.count; i++)
		if (strcmp(store.files[i].name, name) == 0)
			return true;
	return false;
}

/* A set of two files, accepted. */
static void accept_set(const char *metadata, const char *target)
{
	store_begin(&store);
	assert_int_equal(keep(metadata, FILE_LATEST | FILE_NEW, metadata), 0);
	assert_int_equal(keep(target, FILE_NEW, target), 0);
	store_commit(&store, "floor of it\n", true);
}

static void test_store_names_a_set_only_when_it_is_in_force(void **state)
{
	(void)state;
	accept_set("1.targets.json", "a.target");
	assert_string_equal(on_disk("1.targets.json"), "1.targets.json");
	assert_string_equal(on_disk("floor"), "floor of it\n");
	assert_string_equal(on_disk("active"), "-");
	assert_false(store_has_set(&store));
	store_enforce(&store);
	assert_string_equal(on_disk("active"), "1.targets.json\na.target\n");
	reopen(ROOT);
	assert_true(store_has_set(&store));
}

static void test_store_keeps_the_set_before_until_the_next_is_in_force(void **state)
{
	(void)state;
	accept_set("1.targets.json", "a.target");
	store_enforce(&store);
	store_begin(&store);
	assert_int_equal(keep("1.targets.json", FILE_IN_FORCE, NULL), 0);
	assert_int_equal(keep("a.target", FILE_IN_FORCE, NULL), 0);
	assert_int_equal(keep("2.targets.json", FILE_LATEST | FILE_NEW, "2"), 0);
	assert_int_equal(keep("b.target", FILE_NEW, "b"), 0);
	store_commit(&store, "", true);
	assert_string_equal(on_disk("active"), "1.targets.json\na.target\n");
	assert_string_equal(on_disk("a.target"), "a.target");
	assert_string_equal(on_disk("floor"), "floor of it\n");
	store_enforce(&store);
	assert_string_equal(on_disk("active"), "2.targets.json\nb.target\n");
	assert_string_equal(on_disk("a.target"), "-");
	assert_string_equal(on_disk("1.targets.json"), "-");
	assert_false(in_memory("a.target"));
}

static void test_store_forgets_a_set_that_was_withdrawn(void **state)
{
	(void)state;
	accept_set("1.targets.json", "a.target");
	store_enforce(&store);
	accept_set("2.targets.json", "b.target");
	store_withdraw(&store);
	store_enforce(&store);
	assert_string_equal(on_disk("active"), "1.targets.json\na.target\n");
}

/* What is on probation is not taken from under it by what comes and is refused. */
static void test_store_keeps_what_is_on_probation(void **state)
{
	(void)state;
	accept_set("2.targets.json", "b.target");
	store_begin(&store);
	assert_int_equal(keep("3.timestamp.json", FILE_LATEST, "3"), 0);
	store_commit(&store, "", false);
	assert_string_equal(on_disk("b.target"), "b.target");
	store_enforce(&store);
	assert_string_equal(on_disk("active"), "2.targets.json\nb.target\n");
	assert_string_equal(on_disk("3.timestamp.json"), "3");
}

static void test_store_refuses_what_a_verifier_cannot_mean(void **state)
{
	static const char *const names[] = {"",       ".hidden", "..",        "a/b",
					    "active", "floor",   "installed", "a b"};
	struct msg_file file = {.name = "a.target", .why = FILE_NEW, .offset = 3, .len_bytes = 3};
	int fd = memfd_seal("test", "12345", 5);

	(void)state;
	assert_true(fd >= 0);
	store_begin(&store);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(keep(names[i], FILE_NEW, "x"), -EPROTO);
	assert_int_equal(store_keep(&store, &file, fd, 5), -EPROTO);
	file.offset = UINT32_MAX;
	assert_int_equal(store_keep(&store, &file, fd, 5), -EPROTO);
	file.offset = 2;
	assert_int_equal(store_keep(&store, &file, fd, 5), 0);
	assert_string_equal(on_disk("a.target"), "345");
	close(fd);
}

static void test_store_of_another_root_begins_anew(void **state)
{
	(void)state;
	accept_set("1.targets.json", "a.target");
	store_enforce(&store);
	reopen("another");
	assert_false(store_has_set(&store));
	assert_string_equal(on_disk("1.targets.json"), "-");
	assert_string_equal(on_disk("floor"), "-");
	assert_string_equal(on_disk("installed"), "another");
}

/* A disk that takes no more: what was whole stays whole there, what is new is in memory. */
static void test_store_goes_on_without_room_on_disk(void **state)
{
	(void)state;
	accept_set("1.targets.json", "a.target");
	store_enforce(&store);
	(void)signal(SIGXFSZ, SIG_IGN);
	room = 4;
	accept_set("2.targets.json", "b.target");
	store_enforce(&store);
	room = RLIM_INFINITY;
	assert_non_null(strstr(store.trouble, "kept in memory only"));
	assert_true(in_memory("2.targets.json"));
	assert_string_equal(on_disk("active"), "1.targets.json\na.target\n");
	assert_string_equal(on_disk("a.target"), "a.target");
	/* With room again it catches up by itself. */
	accept_set("2.targets.json", "b.target");
	store_enforce(&store);
	assert_string_equal(store.trouble, "");
	assert_string_equal(on_disk("active"), "2.targets.json\nb.target\n");
	assert_string_equal(on_disk("b.target"), "b.target");
}

static void test_store_is_nobody_elses_and_has_one_writer(void **state)
{
	static struct store second;
	char path[256];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s/" STORE_FOLDER, dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	accept_set("1.targets.json", "a.target");
	store_open(&second, dir, ROOT, sizeof(ROOT));
	assert_non_null(strstr(second.trouble, "busy: kept in memory only"));
	assert_false(store_has_set(&second));
	store_close(&second);
}

static void test_store_without_a_directory_is_in_memory(void **state)
{
	static struct store second;

	(void)state;
	store_open(&second, NULL, ROOT, sizeof(ROOT));
	assert_non_null(strstr(second.trouble, "--state-dir"));
	assert_int_equal(second.count, 1);
	store_close(&second);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
		CASE(test_store_names_a_set_only_when_it_is_in_force),
		CASE(test_store_keeps_the_set_before_until_the_next_is_in_force),
		CASE(test_store_forgets_a_set_that_was_withdrawn),
		CASE(test_store_keeps_what_is_on_probation),
		CASE(test_store_refuses_what_a_verifier_cannot_mean),
		CASE(test_store_of_another_root_begins_anew),
		CASE(test_store_goes_on_without_room_on_disk),
		CASE(test_store_is_nobody_elses_and_has_one_writer),
		CASE(test_store_without_a_directory_is_in_memory),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
