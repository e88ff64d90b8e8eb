/* SPDX-License-Identifier: Apache-2.0 */
/* init, key, rotate-root: which keys sign what. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "repo/repo.h"
#include "tuf/json.h"

static int add_keyid(json_t *keys, json_t *keyids, const char *id, json_t *public)
{
	return json_object_set(keys, id, public) < 0 ||
			       json_array_append_new(keyids, json_string(id)) < 0
		       ? -1
		       : 0;
}

json_t *repo_make_keys(struct repo *repo, const char *role, uint32_t count, json_t *keys)
{
	json_t *keyids = json_array();
	char folder[PATH_MAX];
	int err = repo_key_folder(repo, folder, sizeof(folder));

	for (uint32_t i = 0; i < count && !err; i++) {
		const struct keyring_key *key =
			keyring_make_for(repo->ring, repo->options->key_type, folder, role);

		err = key ? add_keyid(keys, keyids, key->id, key->public) : -1;
	}
	if (!err)
		return keyids;
	json_decref(keyids);
	return NULL;
}

json_t *repo_take_public_keys(const struct repo *repo, json_t *keys)
{
	const struct repo_words *files = &repo->options->public_keys;
	json_t *keyids = json_array();
	int err = 0;

	for (size_t i = 0; i < files->count && !err; i++) {
		json_t *public = keyring_read_public(files->list[i]);
		char id[2 * TUF_SHA256_LEN + 1];

		err = public && tuf_key_id(public, id) == 0 ? add_keyid(keys, keyids, id, public)
							    : -1;
		json_decref(public);
	}
	if (!err)
		return keyids;
	json_decref(keyids);
	return NULL;
}

/* --- init ----------------------------------------------------------------------------------------
 */

static int add_role(struct repo *repo, json_t *roles, json_t *keys, const char *name)
{
	const struct repo_options *options = repo->options;
	uint32_t threshold = repo_number(&options->thresholds, name, 1);
	uint32_t count = repo_number(&options->counts, name, threshold);
	json_t *keyids;

	if (threshold > count) {
		log_error("%s: threshold %u with %u keys can never be met", name, threshold, count);
		return -1;
	}
	keyids = repo_make_keys(repo, name, count, keys);
	return keyids ? json_object_set_new(roles, name,
					    json_pack("{s:o, s:i}", "keyids", keyids, "threshold",
						      (int)threshold))
		      : -1;
}

static json_t *first_root(struct repo *repo)
{
	json_t *body = repo_body(repo, "root", "root", repo_days(repo, "root"));
	json_t *keys = json_object(), *roles = json_object();
	int err = body && keys && roles ? 0 : -1;

	for (enum tuf_kind kind = TUF_ROOT; kind < TUF_KINDS && !err; kind++)
		err = add_role(repo, roles, keys, tuf_kind_name(kind));
	if (!err)
		err = json_object_set_new(body, "consistent_snapshot",
					  json_boolean(!repo->options->inconsistent));
	if (!err && json_object_set(body, "keys", keys) == 0 &&
	    json_object_set(body, "roles", roles) == 0) {
		json_decref(keys);
		json_decref(roles);
		return body;
	}
	json_decref(keys);
	json_decref(roles);
	json_decref(body);
	return NULL;
}

static int publish_first(struct repo *repo)
{
	json_t *root = first_root(repo), *targets;

	if (!root || repo_submit(repo, "root", root, NULL) < 0)
		return -1;
	targets = repo_body(repo, "targets", "targets", repo_days(repo, "targets"));
	if (!targets || json_object_set_new(targets, "targets", json_object()) < 0)
		return -1;
	return repo_submit(repo, "targets", targets, NULL) < 0 ? -1 : repo_refresh(repo, true);
}

int repo_init(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, true);

	if (!err && repo.root.whole) {
		log_error("%s: is a repository already: its root is version %llu", options->dir,
			  (unsigned long long)repo.root.version);
		err = -1;
	}
	if (!err)
		err = publish_first(&repo);
	if (!err)
		log_info("clients begin with %s/metadata/1.root.json; keep the keys of root and "
			 "targets elsewhere",
			 options->dir);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}

/* --- key -----------------------------------------------------------------------------------------
 */

int repo_key(const struct repo_options *options)
{
	static struct keyring ring;
	const struct keyring_key *key = keyring_make(&ring, options->key_type, options->dir);
	char public[PATH_MAX];
	int err = key ? 0 : -1;

	if (!err && snprintf(public, sizeof(public), "%s.pub", options->dir) >= (int)sizeof(public))
		err = -1;
	if (!err)
		err = keyring_write_public(key, public);
	if (!err)
		printf("%s\n", key->id);
	keyring_free(&ring);
	return err ? REPO_FAILED : REPO_DONE;
}

/* --- rotate-root ---------------------------------------------------------------------------------
 */

static bool is_used(json_t *roles, const char *id)
{
	const char *name;
	json_t *role, *keyid;
	size_t i;

	json_object_foreach(roles, name, role)
	{
		json_array_foreach(json_object_get(role, "keyids"), i, keyid)
		{
			if (strcmp(json_string_value(keyid), id) == 0)
				return true;
		}
	}
	return false;
}

/* A key that no role has any more only makes the root larger. */
static void drop_unused(json_t *body)
{
	json_t *keys = json_object_get(body, "keys"), *key;
	const char *id;
	void *next;

	json_object_foreach_safe(keys, next, id, key)
	{
		if (!is_used(json_object_get(body, "roles"), id))
			json_object_del(keys, id);
	}
}

static int replace_keys(struct repo *repo, json_t *body, const char *name)
{
	const struct repo_options *options = repo->options;
	json_t *role = json_object_get(json_object_get(body, "roles"), name);
	json_t *keys = json_object_get(body, "keys"), *keyids;
	uint32_t count = (uint32_t)json_array_size(json_object_get(role, "keyids"));
	json_int_t threshold = json_integer_value(json_object_get(role, "threshold"));

	threshold = repo_number(&options->thresholds, name, (uint32_t)threshold);
	count = repo_number(&options->counts, name, count);
	if (!role) {
		log_error("%s: not a role of the root: root, timestamp, snapshot or targets", name);
		return -1;
	}
	keyids = options->public_keys.count ? repo_take_public_keys(repo, keys)
					    : repo_make_keys(repo, name, count, keys);
	if (!keyids)
		return -1;
	if (threshold > (json_int_t)json_array_size(keyids)) {
		log_error("%s: threshold %lld with %zu keys can never be met", name,
			  (long long)threshold, json_array_size(keyids));
		json_decref(keyids);
		return -1;
	}
	return json_object_set_new(role, "keyids", keyids) < 0 ||
			       json_object_set_new(role, "threshold", json_integer(threshold)) < 0
		       ? -1
		       : 0;
}

static int rotate(struct repo *repo)
{
	const struct repo_options *options = repo->options;
	const char *name = options->role ? options->role : "root";
	json_t *body = json_deep_copy(repo->root.body);
	int err = body ? repo_renew(repo, body, "root", repo_days(repo, "root")) : -1;

	if (!err && !options->keep)
		err = replace_keys(repo, body, name);
	if (err) {
		json_decref(body);
		return -1;
	}
	drop_unused(body);
	err = repo_submit(repo, "root", body, NULL);
	/* Until the new root is published the old keys are the ones that count. */
	return err || repo_is_staged(repo, "root") ? err : repo_settle(repo);
}

int repo_rotate(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, false);

	if (!err && repo_is_staged(&repo, "root")) {
		log_error("a new root waits for signatures already: conntrace-repo sign %s root, "
			  "or remove %s/staged/root.json",
			  options->dir, options->dir);
		err = -1;
	}
	if (!err)
		err = rotate(&repo);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}
