/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memfd.h"
#include "common/wholefile.h"

#define ACTIVE    "active"
#define FLOOR     "floor"
#define INSTALLED "installed"

/* Of one file: the largest that signed configuration has. */
#define FILE_BYTES_MAX (1u << 20)

static void say_trouble(struct store *store, const char *what, int err)
{
	char text[MSG_TEXT_MAX];

	snprintf(text, sizeof(text), "%.100s: %s: kept in memory only, until conntraced ends", what,
		 strerror(-err));
	if (strcmp(text, store->trouble) == 0)
		return;
	memcpy(store->trouble, text, sizeof(text));
	log_warning("signed configuration: %s", text);
}

/* --- files in memory --- */

/* Letters, digits and what percent-encoding leaves; hidden files are ours, while they are written.
 */
static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.~%";

	return name[0] && name[0] != '.' && !name[strspn(name, letters)];
}

static struct store_file *find(struct store *store, const char *name)
{
	for (uint32_t i = 0; i < store->count; i++)
		if (strcmp(store->files[i].name, name) == 0)
			return &store->files[i];
	return NULL;
}

/* Takes the bytes over, whatever it returns. NULL: there is no room. */
static struct store_file *put(struct store *store, const char *name, char *bytes, size_t len)
{
	struct store_file *file = find(store, name);
	size_t before = file ? file->len_bytes : 0;

	if ((!file && store->count == STORE_FILES_MAX) ||
	    store->len_bytes - before + len > MSG_STORE_MAX) {
		free(bytes);
		return NULL;
	}
	if (!file) {
		file = &store->files[store->count++];
		*file = (struct store_file){.written = false};
		snprintf(file->name, sizeof(file->name), "%s", name);
	}
	free(file->bytes);
	file->bytes = bytes;
	file->len_bytes = (uint32_t)len;
	file->written = false;
	store->len_bytes += len - before;
	return file;
}

static struct store_file *put_copy(struct store *store, const char *name, const char *bytes,
				   size_t len)
{
	char *copy = malloc(len ? len : 1);

	if (!copy)
		return NULL;
	if (len)
		memcpy(copy, bytes, len);
	return put(store, name, copy, len);
}

static void drop(struct store *store, uint32_t index)
{
	struct store_file *file = &store->files[index];

	store->len_bytes -= file->len_bytes;
	free(file->bytes);
	*file = store->files[--store->count];
}

static void drop_all(struct store *store)
{
	while (store->count)
		drop(store, store->count - 1);
}

/* --- files on disk --- */

static void write_file(struct store *store, struct store_file *file)
{
	int err;

	if (store->dir_fd < 0 || file->written)
		return;
	err = wholefile_write(store->dir_fd, file->name, file->bytes, file->len_bytes, 0600);
	file->written = err == 0;
	if (err)
		say_trouble(store, file->name, err);
}

static void remove_file(const struct store *store, const char *name)
{
	/* One that stays behind is read at the next start, and not named then, either. */
	if (store->dir_fd >= 0)
		(void)unlinkat(store->dir_fd, name, 0);
}

/* Nothing that we wrote: no file, or none of our size. */
static bool is_foreign(int err)
{
	return err == -EINVAL || err == -ELOOP || err == -EFBIG;
}

static int read_file(struct store *store, const char *name)
{
	struct store_file *file;
	char *bytes;
	size_t len;
	int err = wholefile_read(store->dir_fd, name, FILE_BYTES_MAX, &bytes, &len);

	if (err) {
		say_trouble(store, name, err);
		return is_foreign(err) ? 0 : err;
	}
	file = put(store, name, bytes, len);
	if (file)
		file->written = true;
	else
		say_trouble(store, name, -ENOSPC);
	return 0;
}

static int read_names(struct store *store, DIR *dir)
{
	int err = 0;

	while (!err) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		if (is_name(entry->d_name) && strlen(entry->d_name) < MSG_FILE_NAME_MAX)
			err = read_file(store, entry->d_name);
	}
	return err;
}

static int read_all(struct store *store)
{
	int fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int err = dir ? 0 : -errno;

	if (dir) {
		err = read_names(store, dir);
		closedir(dir);
	} else if (fd >= 0) {
		close(fd);
	}
	return err;
}

static int open_folder(const char *state_dir)
{
	int state_fd = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, err;

	if (state_fd < 0)
		return -errno;
	if (mkdirat(state_fd, STORE_FOLDER, 0700) < 0 && errno != EEXIST)
		fd = -1;
	else
		fd = openat(state_fd, STORE_FOLDER,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	err = fd < 0 ? -errno : 0;
	close(state_fd);
	if (err)
		return err;
	/* Two writers would spoil each other's set. */
	if (fchmod(fd, 0700) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* --- as a whole --- */

static bool is_for(struct store *store, const char *root, size_t root_len)
{
	const struct store_file *installed = find(store, INSTALLED);

	return installed && installed->len_bytes == root_len &&
	       memcmp(installed->bytes, root, root_len) == 0;
}

/* From here on only in memory. */
static void leave_folder(struct store *store)
{
	drop_all(store);
	close(store->dir_fd);
	store->dir_fd = -1;
}

void store_open(struct store *store, const char *state_dir, const char *root, size_t root_len)
{
	struct store_file *installed;
	int err;

	*store = (struct store){.dir_fd = state_dir ? open_folder(state_dir) : -ENOENT};
	if (store->dir_fd < 0) {
		say_trouble(store, state_dir ? state_dir : "no state directory (--state-dir)",
			    store->dir_fd);
		store->dir_fd = -1;
	} else {
		err = read_all(store);
		if (err) {
			/* What can't be read now must not be thrown away as if it weren't there. */
			say_trouble(store, STORE_FOLDER, err);
			leave_folder(store);
		}
	}
	if (is_for(store, root, root_len))
		return;
	/* Whoever may install another root decides anew; "active" goes first, it names the others.
	 */
	if (store->count)
		log_info("signed configuration: another root is installed: what was stored is "
			 "forgotten");
	remove_file(store, ACTIVE);
	for (uint32_t i = 0; i < store->count; i++)
		remove_file(store, store->files[i].name);
	drop_all(store);
	installed = put_copy(store, INSTALLED, root, root_len);
	if (installed)
		write_file(store, installed);
}

void store_close(struct store *store)
{
	drop_all(store);
	if (store->dir_fd >= 0)
		close(store->dir_fd);
	*store = (struct store){.dir_fd = -1};
}

bool store_has_set(const struct store *store)
{
	for (uint32_t i = 0; i < store->count; i++)
		if (strcmp(store->files[i].name, ACTIVE) == 0)
			return store->files[i].len_bytes > 0;
	return false;
}

int store_memfd(const struct store *store, uint32_t *len_bytes)
{
	struct bundle bundle = {.max_bytes = MSG_STORE_MAX + STORE_FILES_MAX * BUNDLE_NAME_MAX};
	int err = 0, fd = -1;

	for (uint32_t i = 0; i < store->count && !err; i++)
		err = bundle_add(&bundle, store->files[i].name, store->files[i].bytes,
				 store->files[i].len_bytes);
	if (!err)
		fd = memfd_seal("store", bundle.bytes, bundle.len_bytes);
	*len_bytes = (uint32_t)bundle.len_bytes;
	bundle_free(&bundle);
	return err ? err : fd;
}

void store_begin(struct store *store)
{
	for (uint32_t i = 0; i < store->count; i++)
		store->files[i].why = 0;
}

static int read_slice(const struct msg_file *file, int bundle_fd, char **bytes)
{
	size_t done = 0;

	*bytes = malloc(file->len_bytes);
	if (!*bytes)
		return -ENOMEM;
	while (done < file->len_bytes) {
		ssize_t n = pread(bundle_fd, *bytes + done, file->len_bytes - done,
				  (off_t)(file->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(*bytes);
			return -EIO;
		}
		done += (size_t)n;
	}
	return 0;
}

static bool is_ours(const char *name)
{
	return strcmp(name, ACTIVE) == 0 || strcmp(name, FLOOR) == 0 ||
	       strcmp(name, INSTALLED) == 0;
}

int store_keep(struct store *store, const struct msg_file *file, int bundle_fd, uint32_t bundle_len)
{
	struct store_file *kept = find(store, file->name);
	char *bytes;
	int err;

	if (!is_name(file->name) || is_ours(file->name) || file->len_bytes > FILE_BYTES_MAX ||
	    (uint64_t)file->offset + file->len_bytes > bundle_len)
		return -EPROTO;
	if (!file->len_bytes && !kept)
		kept = put_copy(store, file->name, "", 0);
	if (file->len_bytes) {
		err = read_slice(file, bundle_fd, &bytes);
		if (err)
			return err;
		kept = put(store, file->name, bytes, file->len_bytes);
	}
	if (!kept)
		return -ENOSPC;
	kept->why = file->why;
	write_file(store, kept);
	return 0;
}

/*
 * Whether all that is to be there is on disk, the floor, too, which must not be behind the set:
 * else the set before it is the one that is whole.
 */
static bool is_written(const struct store *store)
{
	for (uint32_t i = 0; i < store->count; i++) {
		const struct store_file *file = &store->files[i];

		if ((file->why || strcmp(file->name, FLOOR) == 0) && !file->written)
			return false;
	}
	return store->dir_fd >= 0;
}

static void write_floor(struct store *store, const char *floor)
{
	struct store_file *file = find(store, FLOOR);

	if (floor[0])
		file = put_copy(store, FLOOR, floor, strlen(floor));
	if (file)
		write_file(store, file);
}

static void forget_rest(struct store *store)
{
	bool on_disk = is_written(store);

	for (uint32_t i = store->count; i-- > 0;) {
		const struct store_file *file = &store->files[i];

		if (file->why || file->accepted || is_ours(file->name))
			continue;
		if (on_disk)
			remove_file(store, file->name);
		drop(store, i);
	}
}

void store_commit(struct store *store, const char *floor, bool accepted)
{
	for (uint32_t i = 0; i < store->count && accepted; i++)
		store->files[i].accepted = (store->files[i].why & FILE_NEW) != 0;
	write_floor(store, floor);
	if (is_written(store))
		store->trouble[0] = '\0';
	forget_rest(store);
}

void store_withdraw(struct store *store)
{
	for (uint32_t i = 0; i < store->count; i++)
		store->files[i].accepted = false;
}

/* The names of a set, one a line. NULL: out of memory. */
static char *list_accepted(const struct store *store, size_t *len)
{
	size_t cap = STORE_FILES_MAX * (size_t)MSG_FILE_NAME_MAX;
	char *text = malloc(cap);

	*len = 0;
	for (uint32_t i = 0; i < store->count && text; i++)
		if (store->files[i].accepted)
			*len += (size_t)snprintf(text + *len, cap - *len, "%s\n",
						 store->files[i].name);
	return text;
}

void store_enforce(struct store *store)
{
	size_t len;
	char *text = list_accepted(store, &len);
	struct store_file *active = text && len ? put(store, ACTIVE, text, len) : NULL;

	if (!active) {
		if (len)
			say_trouble(store, ACTIVE, -ENOSPC);
		else
			free(text);
		return;
	}
	for (uint32_t i = 0; i < store->count; i++) {
		struct store_file *file = &store->files[i];

		file->why = (file->why & FILE_LATEST) | (file->accepted ? FILE_IN_FORCE : 0u);
		file->accepted = false;
	}
	if (!is_written(store))
		return;
	write_file(store, active);
	if (active->written)
		forget_rest(store);
}
