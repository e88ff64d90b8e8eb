/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct names {
	uint32_t count;
	char list[MSG_PARTS_MAX][CONFIG_NAME_MAX];
};

/* Says why, and gives the error back. */
static int refuse(char *why, size_t cap, int err, const char *name, const char *what)
{
	snprintf(why, cap, "%.80s: %s", name, what);
	return err;
}

static int check_owner(int fd, const char *name, char *why, size_t cap, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return refuse(why, cap, -errno, name, "can't be looked at");
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return refuse(why, cap, -EPERM, name, "belongs to somebody else: chown root");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return refuse(why, cap, -EPERM, name, "writable by group or others: chmod go-w");
	return 0;
}

static bool is_text_name(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 5 && strcmp(name + len - 5, ".yaml") == 0;
}

static int add_name(struct names *names, const char *name, char *why, size_t cap)
{
	if (!is_text_name(name))
		return 0;
	if (strlen(name) >= CONFIG_NAME_MAX)
		return refuse(why, cap, -ENAMETOOLONG, name,
			      "name longer than 63 bytes: rename it");
	if (names->count == MSG_PARTS_MAX)
		return refuse(why, cap, -E2BIG, name,
			      "one file too many: at most 32, put some together");
	memcpy(names->list[names->count++], name, strlen(name) + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_names(DIR *dir, struct names *names, char *why, size_t cap)
{
	int err = 0;

	names->count = 0;
	for (uint32_t i = 0; i < SOURCE_ENTRIES_MAX && !err; i++) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		/* Half a directory must not pass for a whole one: files would seem to be gone. */
		if (!entry && errno)
			return refuse(why, cap, -errno, "source directory", "can't be listed");
		if (!entry) {
			qsort(names->list, names->count, CONFIG_NAME_MAX, by_name);
			return 0;
		}
		err = add_name(names, entry->d_name, why, cap);
	}
	return err ? err
		   : refuse(why, cap, -E2BIG, "source directory",
			    "more than 4096 entries: keep only configuration there");
}
_Static_assert(SOURCE_ENTRIES_MAX == 4096 && MSG_PARTS_MAX == 32 && CONFIG_NAME_MAX == 64 &&
		       SOURCE_BYTES_MAX == 960u << 10,
	       "source_dir: numbers in texts");

/* Reads the names anew each time: the directory's position is shared with earlier looks. */
static int list_directory(int dir_fd, struct names *names, char *why, size_t cap)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int err;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return refuse(why, cap, err, "source directory", "can't be read");
	}
	err = list_names(dir, names, why, cap);
	closedir(dir);
	return err;
}

static int read_bytes(int fd, char *bytes, size_t *len, size_t cap_bytes)
{
	*len = 0;
	while (*len <= cap_bytes) {
		ssize_t n = read(fd, bytes + *len, cap_bytes + 1 - *len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		*len += n > 0 ? (size_t)n : 0;
	}
	return -EFBIG;
}

static int read_file(int dir_fd, const char *name, struct source_texts *texts, char *why,
		     size_t cap)
{
	static char bytes[CONFIG_TEXT_MAX + 1];
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct msg_part *part = &texts->what.parts[texts->what.part_count];
	struct stat st;
	size_t len = 0;
	int err;

	if (fd < 0)
		return refuse(why, cap, -errno, name, "can't be opened (no links are followed)");
	err = check_owner(fd, name, why, cap, &st);
	if (!err && !S_ISREG(st.st_mode))
		err = refuse(why, cap, -EINVAL, name, "not a regular file");
	if (!err) {
		err = read_bytes(fd, bytes, &len, CONFIG_TEXT_MAX);
		if (err)
			err = refuse(why, cap, err, name, "can't be read, or larger than 64 KiB");
	}
	if (!err && len > sizeof(texts->bytes) - texts->len_bytes)
		err = refuse(why, cap, -EFBIG, name,
			     "too large together with the files before it: at most 960 KiB");
	close(fd);
	if (err)
		return err;
	memcpy(part->name, name, strlen(name) + 1);
	part->len_bytes = (uint32_t)len;
	memcpy(texts->bytes + texts->len_bytes, bytes, len);
	texts->len_bytes += len;
	texts->what.part_count++;
	return 0;
}

int source_dir_read(int dir_fd, struct source_texts *texts, char *why, size_t cap)
{
	static struct names names;
	struct stat st;
	int err = check_owner(dir_fd, "source directory", why, cap, &st);

	memset(&texts->what, 0, sizeof(texts->what));
	texts->len_bytes = 0;
	/* Ours is an fd, not a name: a directory made anew is another one. */
	if (!err && st.st_nlink == 0)
		err = refuse(why, cap, -ENOENT, "source directory",
			     "was removed: make it again, then reload conntraced");
	if (!err)
		err = list_directory(dir_fd, &names, why, cap);
	for (uint32_t i = 0; i < names.count && !err; i++)
		err = read_file(dir_fd, names.list[i], texts, why, cap);
	return err;
}

/* --- as a source --- */

struct directory {
	int fd;
	struct source_texts texts;
};

static int open_directory(const struct source_setup *setup, struct sandbox_needs *needs,
			  void **self, char *why, size_t cap)
{
	static struct directory directory;

	if (setup->dir_fd < 0)
		return refuse(why, cap, -EPROTO, "source directory", "did not come with START");
	directory.fd = setup->dir_fd;
	needs->rooms[needs->room_count++].fd = setup->dir_fd;
	*self = &directory;
	return 0;
}

static int look_into(void *self, struct source_look *look)
{
	struct directory *directory = self;
	const struct source_texts *texts = &directory->texts;
	int err = source_dir_read(directory->fd, &directory->texts, look->why, sizeof(look->why));

	if (err)
		return err;
	look->found = true;
	look->what = texts->what;
	look->bytes = texts->bytes;
	look->len_bytes = texts->len_bytes;
	return 0;
}

const struct source source_dir = {.open = open_directory, .look = look_into};
