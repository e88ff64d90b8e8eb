/* SPDX-License-Identifier: Apache-2.0 */
/* The repository's folders, and which version of a role is the published one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "repo/repo.h"
#include "tuf/json.h"

uint32_t repo_number(const struct repo_numbers *numbers, const char *role, uint32_t otherwise)
{
	for (size_t i = 0; i < numbers->count; i++)
		if (strcmp(numbers->list[i].role, role) == 0)
			otherwise = numbers->list[i].number;
	return otherwise;
}

bool repo_is_role_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < REPO_ROLE_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static int open_folder(int dir_fd, const char *name, mode_t mode, bool make)
{
	int fd;

	if (make && mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST) {
		log_error("%s: can't be made: %s", name, strerror(errno));
		return -1;
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		log_error("%s: can't be opened: %s%s", name, strerror(errno),
			  make ? "" : ": is it a repository? conntrace-repo init makes one");
	return fd;
}

int repo_key_folder(const struct repo *repo, char *path, size_t cap)
{
	const struct repo_words *dirs = &repo->options->key_dirs;
	int len = dirs->count ? snprintf(path, cap, "%s", dirs->list[0])
			      : snprintf(path, cap, "%s/keys", repo->options->dir);

	if ((size_t)len < cap)
		return 0;
	log_error("%s: path too long", repo->options->dir);
	return -1;
}

/* DIR/keys may be gone: the keys it had are elsewhere then. */
static int read_keys(struct repo *repo)
{
	const struct repo_options *options = repo->options;
	char path[PATH_MAX];
	int err = 0;

	if (snprintf(path, sizeof(path), "%s/keys", options->dir) < (int)sizeof(path) &&
	    access(path, F_OK) == 0)
		err = keyring_read_folder(repo->ring, path);
	for (size_t i = 0; i < options->key_dirs.count && !err; i++)
		err = keyring_read_folder(repo->ring, options->key_dirs.list[i]);
	for (size_t i = 0; i < options->keys.count && !err; i++)
		err = keyring_read(repo->ring, options->keys.list[i], 1);
	return err;
}

static int read_root(struct repo *repo)
{
	struct tuf_why why;
	char *bytes;
	size_t len;
	enum tuf_result result;

	if (repo_published_bytes(repo, "root", &bytes, &len) < 0)
		return -1;
	tuf_metadata_free(&repo->root);
	if (!bytes)
		return 0;
	result = tuf_metadata_read(&repo->root, TUF_ROOT, TUF_STRICT, bytes, len, &why);
	free(bytes);
	if (result == TUF_OK)
		return 0;
	log_error("root: %s: %s", tuf_result_name(result), why.text);
	return -1;
}

static int open_folders(struct repo *repo, bool make)
{
	repo->dir_fd = open_folder(AT_FDCWD, repo->options->dir, 0777, make);
	if (repo->dir_fd < 0)
		return -1;
	/* Two publishers at once would give one version to two files. */
	if (flock(repo->dir_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("%s: in use by another conntrace-repo, or can't be locked: %s",
			  repo->options->dir, strerror(errno));
		return -1;
	}
	repo->metadata_fd = open_folder(repo->dir_fd, "metadata", 0777, make);
	repo->targets_fd = open_folder(repo->dir_fd, "targets", 0777, make);
	if (repo->metadata_fd < 0 || repo->targets_fd < 0)
		return -1;
	repo->staged_fd = open_folder(repo->dir_fd, "staged", 0777, true);
	return repo->staged_fd < 0 ? -1 : 0;
}

int repo_open(struct repo *repo, const struct repo_options *options, bool make)
{
	char keys[PATH_MAX];

	*repo = (struct repo){.options = options,
			      .dir_fd = -1,
			      .metadata_fd = -1,
			      .targets_fd = -1,
			      .staged_fd = -1,
			      .ring = calloc(1, sizeof(*repo->ring))};
	if (!repo->ring) {
		log_error("out of memory");
		return -1;
	}
	if (open_folders(repo, make) < 0 || repo_key_folder(repo, keys, sizeof(keys)) < 0)
		return -1;
	if (make && mkdir(keys, 0700) < 0 && errno != EEXIST) {
		log_error("%s: can't be made: %s", keys, strerror(errno));
		return -1;
	}
	if (read_keys(repo) < 0 || read_root(repo) < 0)
		return -1;
	if (make || repo->root.whole)
		return 0;
	log_error("%s: no repository: conntrace-repo init makes one", options->dir);
	return -1;
}

void repo_close(struct repo *repo)
{
	const int fds[] = {repo->staged_fd, repo->targets_fd, repo->metadata_fd, repo->dir_fd};

	tuf_metadata_free(&repo->root);
	if (repo->ring)
		keyring_free(repo->ring);
	free(repo->ring);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int repo_exit_code(const struct repo *repo, int err)
{
	if (err)
		return REPO_FAILED;
	return repo->staged ? REPO_STAGED : REPO_DONE;
}

/* --- what is published ---------------------------------------------------------------------------
 */

/* The version in "12.ROLE.json", 0 if that is something else. */
static uint64_t version_of(const char *file, const char *role)
{
	char wanted[REPO_ROLE_MAX + 8];
	char *end;
	uint64_t version = strtoull(file, &end, 10);

	snprintf(wanted, sizeof(wanted), ".%s.json", role);
	return file[0] >= '1' && file[0] <= '9' && strcmp(end, wanted) == 0 ? version : 0;
}

static int64_t highest_version(const struct repo *repo, const char *role)
{
	int fd = openat(repo->metadata_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t highest = 0;

	if (!dir) {
		log_error("metadata: can't be listed: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((entry = readdir(dir))) {
		uint64_t version = version_of(entry->d_name, role);

		highest = version > highest && version <= TUF_VERSION_MAX ? version : highest;
	}
	closedir(dir);
	return (int64_t)highest;
}

static bool has_versions(const struct repo *repo, const char *role)
{
	return strcmp(role, "root") == 0 ||
	       (strcmp(role, "timestamp") != 0 && tuf_root_consistent(&repo->root));
}

int repo_published_bytes(const struct repo *repo, const char *role, char **bytes, size_t *len)
{
	char name[REPO_ROLE_MAX + 32];
	int64_t version = has_versions(repo, role) ? highest_version(repo, role) : 0;
	int err;

	*bytes = NULL;
	if (version < 0)
		return -1;
	if (version)
		snprintf(name, sizeof(name), "%lld.%s.json", (long long)version, role);
	else
		snprintf(name, sizeof(name), "%s.json", role);
	err = wholefile_read(repo->metadata_fd, name, TUF_TARGETS_MAX, bytes, len);
	if (err == 0 || err == -ENOENT)
		return 0;
	log_error("metadata/%s: can't be read: %s", name, strerror(-err));
	return -1;
}

static json_t *parse(const char *role, char *bytes, size_t len)
{
	struct tuf_why why;
	json_t *whole = NULL;

	if (bytes && tuf_json_parse(bytes, len, &whole, &why) != TUF_OK)
		log_error("%s: %s", role, why.text);
	free(bytes);
	return whole;
}

json_t *repo_published(const struct repo *repo, const char *role)
{
	char *bytes;
	size_t len;

	return repo_published_bytes(repo, role, &bytes, &len) < 0 ? NULL : parse(role, bytes, len);
}

int64_t repo_version(const struct repo *repo, const char *role)
{
	json_t *whole = repo_published(repo, role);
	int64_t version;

	if (tuf_json_integer(json_object_get(whole, "signed"), "version", 1, TUF_VERSION_MAX,
			     &version) < 0)
		version = whole ? -1 : 0;
	json_decref(whole);
	return version;
}

static void staged_name(const char *role, char name[REPO_ROLE_MAX + 8])
{
	snprintf(name, REPO_ROLE_MAX + 8, "%s.json", role);
}

bool repo_is_staged(const struct repo *repo, const char *role)
{
	char name[REPO_ROLE_MAX + 8];

	staged_name(role, name);
	return faccessat(repo->staged_fd, name, F_OK, 0) == 0;
}

json_t *repo_latest(const struct repo *repo, const char *role)
{
	char name[REPO_ROLE_MAX + 8];
	char *bytes;
	size_t len;

	staged_name(role, name);
	if (wholefile_read(repo->staged_fd, name, TUF_TARGETS_MAX, &bytes, &len) == 0)
		return parse(role, bytes, len);
	return repo_published(repo, role);
}
