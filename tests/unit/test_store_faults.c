/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is stored of signed configuration, when a system call fails, or the process is killed behind
 * one: each in turn. Linked with --wrap for the calls that touch files.
 */
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
#include <sys/wait.h>
#include <unistd.h>

#include "common/memfd.h"
#include "common/wholefile.h"
#include "supervisor/store.h"

#define ROOT      "the root that was installed"
#define CALLS_MAX 1000

/* --- faults --------------------------------------------------------------------------------------
 */

enum fault { FAULT_NONE, FAULT_NO_SPACE, FAULT_IO, FAULT_KILL, FAULTS };

static enum fault fault;
static int calls_left; /* the fault comes with the last of them */

/* Whether this call is to fail: then with errno. Killed is one after it was made. */
static bool fails(void)
{
	if (!calls_left || --calls_left)
		return false;
	errno = fault == FAULT_NO_SPACE ? ENOSPC : EIO;
	return fault != FAULT_KILL;
}

static void die(bool last)
{
	if (last && fault == FAULT_KILL)
		_exit(0);
}

/* clang-format off */
#define WRAP(name, parameters, arguments) \
	int __real_##name parameters; \
	int __wrap_##name parameters; \
	int __wrap_##name parameters \
	{ \
		bool last = calls_left == 1; \
		int got = fails() ? -1 : __real_##name arguments; \
		die(last); \
		return got; \
	}

WRAP(fsync, (int fd), (fd))
WRAP(close, (int fd), (fd))
WRAP(unlinkat, (int dir_fd, const char *name, int flags), (dir_fd, name, flags))
WRAP(renameat, (int old_fd, const char *old, int new_fd, const char *new),
     (old_fd, old, new_fd, new))
WRAP(openat, (int dir_fd, const char *name, int flags, mode_t mode), (dir_fd, name, flags, mode))
/* clang-format on */

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
	bool last = calls_left == 1;
	ssize_t got = fails() ? -1 : __real_write(fd, bytes, len);

	die(last);
	return got;
}

ssize_t __real_read(int fd, void *bytes, size_t len);
ssize_t __wrap_read(int fd, void *bytes, size_t len);

ssize_t __wrap_read(int fd, void *bytes, size_t len)
{
	bool last = calls_left == 1;
	ssize_t got = fails() ? -1 : __real_read(fd, bytes, len);

	die(last);
	return got;
}

/* --- two sets ------------------------------------------------------------------------------------
 */

struct kept {
	const char *name, *bytes;
	uint32_t why;
};

static const struct kept first[] = {
	{"2.root.json", "root 2", FILE_LATEST},
	{"1.snapshot.json", "snapshot 1", FILE_LATEST | FILE_NEW},
	{"aa.target", "text a", FILE_NEW},
	{NULL, NULL, 0},
};
static const struct kept second[] = {
	{"2.root.json", "root 2", FILE_LATEST},
	{"3.root.json", "root 3", FILE_LATEST},
	{"2.snapshot.json", "snapshot 2", FILE_LATEST | FILE_NEW},
	{"bb.target", "text b", FILE_NEW},
	{"1.snapshot.json", "snapshot 1", FILE_IN_FORCE},
	{"aa.target", "text a", FILE_IN_FORCE},
	{NULL, NULL, 0},
};

static struct store store;
static char state_dir[64], folder[80];

static bool has(const char *name)
{
	for (uint32_t i = 0; i < store.count; i++)
		if (strcmp(store.files[i].name, name) == 0)
			return true;
	return false;
}

/*
 * What a verifier said of a bundle comes into the store, and into force. It names what it saw in
 * the store without bytes, and knows nothing of what it did not see there.
 */
static void take(const struct kept *kept, const char *floor)
{
	char bundle[256] = "";
	size_t len = 0;
	int fd;

	for (const struct kept *k = kept; k->name; k++)
		len += (size_t)snprintf(bundle + len, sizeof(bundle) - len, "%s", k->bytes);
	fd = memfd_seal("bundle", bundle, strlen(bundle));
	store_begin(&store);
	for (const struct kept *k = kept; k->name; k++) {
		struct msg_file file = {.why = k->why};

		snprintf(file.name, sizeof(file.name), "%s", k->name);
		if (!has(k->name)) {
			file.offset = (uint32_t)(strstr(bundle, k->bytes) - bundle);
			file.len_bytes = (uint32_t)strlen(k->bytes);
		}
		if (!file.len_bytes || k->why != FILE_IN_FORCE)
			(void)store_keep(&store, &file, fd, (uint32_t)strlen(bundle));
	}
	store_commit(&store, floor, true);
	store_enforce(&store);
	close(fd);
}

/* A life of conntraced in which a set is taken. */
static void live(const struct kept *kept, const char *floor)
{
	store_open(&store, state_dir, ROOT, strlen(ROOT));
	take(kept, floor);
	store_close(&store);
}

static void remove_folder(void)
{
	char path[512];
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		(void)unlink(path);
	}
	if (dir)
		closedir(dir);
	(void)rmdir(folder);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(state_dir, sizeof(state_dir), "%s/conntrace-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(state_dir));
	snprintf(folder, sizeof(folder), "%s/%s", state_dir, STORE_FOLDER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	remove_folder();
	return rmdir(state_dir);
}

/* --- what must hold ------------------------------------------------------------------------------
 */

static char *content(const char *name)
{
	int dir_fd = open(folder, O_RDONLY | O_DIRECTORY);
	char *bytes;
	size_t len;

	(void)wholefile_read(dir_fd, name, 1u << 20, &bytes, &len);
	close(dir_fd);
	return bytes;
}

static void content_is(const char *name, const char *wanted, const char *other)
{
	char *bytes = content(name);

	if (!bytes || (strcmp(bytes, wanted) != 0 && (!other || strcmp(bytes, other) != 0)))
		fail_msg("%s: %s", name, bytes ? bytes : "is not there");
	free(bytes);
}

/* Whether a text has the names of a set, one a line, in any order. */
static bool names(const char *text, const struct kept *set)
{
	size_t len = 0;

	for (const struct kept *k = set; k->name; k++) {
		if (!(k->why & FILE_NEW))
			continue;
		if (!strstr(text, k->name))
			return false;
		len += strlen(k->name) + 1;
	}
	return strlen(text) == len;
}

/* All files of the set that "active" names, as they were given. Returns whether it is the second.
 */
static bool is_second(void)
{
	char *active = content("active");
	bool is = active && names(active, second);

	if (!is && (!active || !names(active, first)))
		fail_msg("active: %s", active ? active : "is not there");
	for (const struct kept *k = is ? second : first; k->name; k++)
		if (k->why != FILE_IN_FORCE)
			content_is(k->name, k->bytes, NULL);
	free(active);
	return is;
}

static void check_left(void)
{
	content_is("installed", ROOT, NULL);
	content_is("2.root.json", "root 2", NULL);
	content_is("floor", "floor 2", "floor 1");
	/* The floor comes before the set that raised it. */
	if (is_second())
		content_is("floor", "floor 2", NULL);
}

static int count_files(void)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return count;
}

static void live_second(void)
{
	live(second, "floor 2");
}

static void only_look(void)
{
	store_open(&store, state_dir, ROOT, strlen(ROOT));
	store_close(&store);
}

/* A life in which the n-th call meets the fault. Returns whether there was such a call. */
static bool live_with(enum fault what, int n, void (*life)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		fault = what;
		calls_left = n;
		life();
		_exit(calls_left ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

static void test_store_is_whole_whatever_fails(void **state)
{
	(void)state;
	for (enum fault what = FAULT_NO_SPACE; what < FAULTS; what++) {
		int n = 0;

		do {
			assert_true(++n < CALLS_MAX);
			remove_folder();
			live(first, "floor 1");
			assert_false(is_second());
			if (!live_with(what, n, live_second))
				break;
			check_left();
			/* The next life ends well, and leaves nothing behind. */
			live(second, "floor 2");
			assert_true(is_second());
			content_is("floor", "floor 2", NULL);
			assert_int_equal(count_files(), 7);
		} while (true);
		assert_true(n > 40);
	}
}

/* What can't be read now may be readable at the next start. */
static void test_store_loses_nothing_that_it_cannot_read(void **state)
{
	int n = 0;

	(void)state;
	do {
		assert_true(++n < CALLS_MAX);
		remove_folder();
		live(first, "floor 1");
		if (!live_with(FAULT_IO, n, only_look))
			break;
		assert_false(is_second());
		content_is("floor", "floor 1", NULL);
		content_is("installed", ROOT, NULL);
	} while (true);
	assert_true(n > 10);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(test_store_is_whole_whatever_fails),
		IN_A_FOLDER(test_store_loses_nothing_that_it_cannot_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
