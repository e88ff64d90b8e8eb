/* SPDX-License-Identifier: Apache-2.0 */
/* add, remove, delegate: what is signed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "repo/repo.h"
#include "tuf/json.h"
#include "tuf/names.h"
#include "tuf/tuf.h"

/* The body of a role with its next version and expiry; NULL after telling why not. */
static json_t *next_body(const struct repo *repo, const char *role)
{
	json_t *whole = repo_latest(repo, role);
	json_t *body = json_incref(json_object_get(whole, "signed"));

	json_decref(whole);
	if (!body)
		log_error("%s: no such role here: conntrace-repo delegate makes one", role);
	if (body && repo_renew(repo, body, role, repo_days(repo, role)) < 0) {
		json_decref(body);
		return NULL;
	}
	return body;
}

static const char *role_of(const struct repo_options *options)
{
	return options->role ? options->role : "targets";
}

/* --- add, remove ---------------------------------------------------------------------------------
 */

static bool is_configuration(const char *path)
{
	return tuf_pattern_matches("base.yaml", path) ||
	       tuf_pattern_matches("group/?*.yaml", path) ||
	       tuf_pattern_matches("host/?*.yaml", path);
}

static json_t *find_delegation(json_t *targets, const char *role)
{
	json_t *roles = json_object_get(json_object_get(targets, "delegations"), "roles");

	for (size_t i = 0; i < json_array_size(roles); i++) {
		json_t *delegation = json_array_get(roles, i);

		if (strcmp(tuf_json_text(delegation, "name"), role) == 0)
			return delegation;
	}
	return NULL;
}

/* A client would look for it in vain. */
static int check_delegated(const struct repo *repo, const char *role, const char *path)
{
	json_t *whole;
	bool delegated;

	if (strcmp(role, "targets") == 0)
		return 0;
	whole = repo_latest(repo, "targets");
	delegated = tuf_delegation_matches(find_delegation(json_object_get(whole, "signed"), role),
					   path);
	json_decref(whole);
	if (!delegated)
		log_error("%s: not delegated to %s", path, role);
	return delegated ? 0 : -1;
}

static int check_path(const char *path)
{
	if (tuf_path_check(path) < 0) {
		log_error("%s: not a target's name: 1 to 255 bytes, no part of it empty, . or ..",
			  path);
		return -1;
	}
	if (!is_configuration(path))
		log_warning(
			"%s: conntrace reads base.yaml, group/NAME.yaml and host/NAME.yaml only",
			path);
	return 0;
}

/* Opens targets/ or the folder in it that a path names, making what is not there. */
static int open_target_folder(const struct repo *repo, const char *path)
{
	int at = openat(repo->targets_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/'))) {
		char part[TUF_PATH_MAX];
		int below;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		(void)mkdirat(at, part, 0777);
		below = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = below;
		path = slash + 1;
	}
	return at;
}

static int store_target(const struct repo *repo, const char *path, const char *hex,
			const char *bytes, size_t len)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	bool hashed = tuf_root_consistent(&repo->root);
	char name[TUF_PATH_MAX + TUF_HEX_MAX];
	int folder_fd = open_target_folder(repo, path);
	int err;

	if (folder_fd < 0) {
		log_error("targets/%s: its folder can't be made: %s", path, strerror(errno));
		return -1;
	}
	snprintf(name, sizeof(name), "%s%s%s", hashed ? hex : "", hashed ? "." : "", last);
	err = wholefile_write(folder_fd, name, bytes, len, 0644);
	close(folder_fd);
	if (err)
		log_error("targets/%s: can't be written: %s", path, strerror(-err));
	return err ? -1 : 0;
}

/* What targets say of a file, which is put where clients fetch it. NULL on error. */
static json_t *take_target(const struct repo *repo, const char *path, const char *file)
{
	struct tuf_digest digest;
	char hex[TUF_HEX_MAX];
	char *bytes;
	size_t len;
	int err = wholefile_read(AT_FDCWD, file, TUF_FILE_MAX, &bytes, &len);

	if (err) {
		log_error("%s: can't be read: %s", file,
			  err == -EFBIG ? "larger than 1 MiB" : strerror(-err));
		return NULL;
	}
	err = tuf_digest_of(bytes, len, &digest);
	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
	if (!err)
		err = store_target(repo, path, hex, bytes, len);
	free(bytes);
	return err ? NULL
		   : json_pack("{s:I, s:{s:s}}", "length", (json_int_t)len, "hashes", "sha256",
			       hex);
}
_Static_assert(TUF_FILE_MAX == 1024 * 1024, "content: numbers in texts");

static int submit_content(struct repo *repo, const char *role, json_t *body)
{
	int err = repo_submit(repo, role, body, NULL);

	return err || repo_is_staged(repo, role) ? err : repo_settle(repo);
}

static int add(struct repo *repo, const char *path, const char *file)
{
	const char *role = role_of(repo->options);
	json_t *body, *entry;

	if (check_path(path) < 0 || check_delegated(repo, role, path) < 0)
		return -1;
	body = next_body(repo, role);
	entry = body ? take_target(repo, path, file) : NULL;
	if (!entry || json_object_set_new(json_object_get(body, "targets"), path, entry) < 0) {
		json_decref(body);
		return -1;
	}
	return submit_content(repo, role, body);
}

int repo_add(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, false);

	if (!err)
		err = add(&repo, options->arguments.list[0], options->arguments.list[1]);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}

static int remove_target(struct repo *repo, const char *path)
{
	const char *role = role_of(repo->options);
	json_t *body = next_body(repo, role);

	if (body && json_object_del(json_object_get(body, "targets"), path) == 0)
		return submit_content(repo, role, body);
	if (body)
		log_error("%s: not a target of %s", path, role);
	json_decref(body);
	return -1;
}

int repo_remove(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, false);

	if (!err)
		err = remove_target(&repo, options->arguments.list[0]);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}

/* --- delegate ------------------------------------------------------------------------------------
 */

static json_t *list_patterns(const struct repo_options *options)
{
	json_t *paths = json_array();

	for (size_t i = 1; i < options->arguments.count; i++)
		json_array_append_new(paths, json_string(options->arguments.list[i]));
	return paths;
}

/* The delegations of a body, made if there are none. */
static json_t *delegations_of(json_t *body)
{
	if (!json_object_get(body, "delegations"))
		json_object_set_new(body, "delegations",
				    json_pack("{s:{}, s:[]}", "keys", "roles"));
	return json_object_get(body, "delegations");
}

/* In its place, or behind the others: the order is the one in which clients look. */
static int put_delegation(json_t *body, const char *role, json_t *delegation)
{
	json_t *roles = json_object_get(delegations_of(body), "roles");
	const json_t *old = find_delegation(body, role);

	for (size_t i = 0; i < json_array_size(roles); i++)
		if (json_array_get(roles, i) == old)
			return json_array_set_new(roles, i, delegation);
	return json_array_append_new(roles, delegation);
}

static json_t *make_delegation(struct repo *repo, json_t *body, const char *role)
{
	const struct repo_options *options = repo->options;
	uint32_t threshold = repo_number(&options->thresholds, role, 1);
	json_t *keys = json_object_get(delegations_of(body), "keys");
	json_t *keyids =
		options->public_keys.count
			? repo_take_public_keys(repo, keys)
			: repo_make_keys(repo, role, repo_number(&options->counts, role, threshold),
					 keys);

	if (keyids && threshold <= json_array_size(keyids))
		return json_pack("{s:s, s:o, s:i, s:b, s:o}", "name", role, "keyids", keyids,
				 "threshold", (int)threshold, "terminating", options->terminating,
				 "paths", list_patterns(options));
	if (keyids)
		log_error("%s: threshold %u with %zu keys can never be met", role, threshold,
			  json_array_size(keyids));
	json_decref(keyids);
	return NULL;
}

/* An empty role to begin with; who has its keys signs it. */
static int submit_first(struct repo *repo, const char *role)
{
	json_t *body;

	if (repo_version(repo, role) > 0)
		return 0;
	body = repo_body(repo, "targets", role, repo_days(repo, role));
	if (!body || json_object_set_new(body, "targets", json_object()) < 0) {
		json_decref(body);
		return -1;
	}
	return repo_submit(repo, role, body, NULL);
}

static int delegate(struct repo *repo, const char *role)
{
	json_t *body, *delegation;
	enum tuf_kind kind = TUF_ROOT;

	while (kind < TUF_KINDS && strcmp(tuf_kind_name(kind), role) != 0)
		kind++;
	if (!repo_is_role_name(role) || kind != TUF_KINDS) {
		log_error("%s: not a name for a role: a to z, digits, - and _, and none of root, "
			  "timestamp, snapshot, targets",
			  role);
		return -1;
	}
	body = next_body(repo, "targets");
	delegation = body ? make_delegation(repo, body, role) : NULL;
	if (!delegation || put_delegation(body, role, delegation) < 0) {
		json_decref(body);
		return -1;
	}
	/* The role is signed by the keys that these targets name, and is published before them. */
	if (repo_stage(repo, "targets", body) < 0 || submit_first(repo, role) < 0)
		return -1;
	return repo_is_staged(repo, role) ? 0 : repo_settle(repo);
}

int repo_delegate(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, false);

	if (!err)
		err = delegate(&repo, options->arguments.list[0]);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}
