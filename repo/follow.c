/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when something was published: roles whose keys changed, snapshot, timestamp. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "repo/repo.h"
#include "tuf/json.h"

/* Sign a role anew whose keys were changed. */
static int mend(struct repo *repo, const char *role)
{
	json_t *whole = repo_latest(repo, role);
	json_t *body = json_incref(json_object_get(whole, "signed"));
	int err = -1;

	json_decref(whole);
	if (body && repo_renew(repo, body, role, repo_days(repo, role)) == 0)
		err = repo_submit(repo, role, body, NULL);
	else
		json_decref(body);
	return err;
}

static int resubmit_targets(struct repo *repo)
{
	json_t *whole = repo_latest(repo, "targets");
	json_t *body = json_incref(json_object_get(whole, "signed"));
	json_t *signatures = json_incref(json_object_get(whole, "signatures"));

	json_decref(whole);
	return repo_submit(repo, "targets", body, signatures);
}

static int mend_delegated(struct repo *repo)
{
	json_t *whole = repo_published(repo, "targets");
	json_t *delegations = json_object_get(json_object_get(whole, "signed"), "delegations");
	json_t *roles = json_object_get(delegations, "roles");
	int err = 0;

	for (size_t i = 0; i < json_array_size(roles) && !err; i++) {
		const char *name = tuf_json_text(json_array_get(roles, i), "name");

		if (name && !repo_is_staged(repo, name) && !repo_is_valid(repo, name))
			err = mend(repo, name);
	}
	json_decref(whole);
	return err;
}

int repo_settle(struct repo *repo)
{
	int err = 0;

	if (repo_is_staged(repo, "targets"))
		err = resubmit_targets(repo);
	else if (!repo_is_valid(repo, "targets"))
		err = mend(repo, "targets");
	if (!err)
		err = mend_delegated(repo);
	return err ? err : repo_refresh(repo, false);
}

/* What is said of a published file: version, length, hash. */
static json_t *describe(const struct repo *repo, const char *role)
{
	struct tuf_digest digest;
	char hex[TUF_HEX_MAX];
	int64_t version = repo_version(repo, role);
	char *bytes;
	size_t len;
	int err;

	if (version < 1 || repo_published_bytes(repo, role, &bytes, &len) < 0 || !bytes)
		return NULL;
	err = tuf_digest_of(bytes, len, &digest);
	free(bytes);
	if (err)
		return NULL;
	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
	return json_pack("{s:I, s:I, s:{s:s}}", "version", (json_int_t)version, "length",
			 (json_int_t)len, "hashes", "sha256", hex);
}

static int list_role(const struct repo *repo, json_t *meta, const char *role)
{
	char name[REPO_ROLE_MAX + 8];

	snprintf(name, sizeof(name), "%s.json", role);
	return json_object_set_new(meta, name, describe(repo, role));
}

/* A file that was listed once stays: clients refuse a snapshot that lacks it. */
static json_t *list_roles(const struct repo *repo, json_t *old)
{
	json_t *targets = repo_published(repo, "targets");
	json_t *delegations = json_object_get(json_object_get(targets, "signed"), "delegations");
	json_t *roles = json_object_get(delegations, "roles"), *meta = json_object(), *entry;
	const char *name;
	int err = meta ? list_role(repo, meta, "targets") : -1;

	for (size_t i = 0; i < json_array_size(roles) && !err; i++)
		err = list_role(repo, meta, tuf_json_text(json_array_get(roles, i), "name"));
	json_object_foreach(old, name, entry)
	{
		if (!err && !json_object_get(meta, name))
			err = json_object_set(meta, name, entry);
	}
	json_decref(targets);
	if (!err)
		return meta;
	json_decref(meta);
	return NULL;
}

/* Whether less than half of a role's days is left. */
static bool is_ageing(const struct repo *repo, const json_t *body, const char *role)
{
	const char *expires = tuf_json_text(body, "expires");
	int64_t at;

	return !expires || tuf_time_read(expires, false, &at) < 0 ||
	       at - time(NULL) < (int64_t)repo_days(repo, role) * 43200;
}

static int submit_meta(struct repo *repo, const char *role, json_t *meta)
{
	json_t *body = repo_body(repo, role, role, repo_days(repo, role));

	if (!body || json_object_set(body, "meta", meta) < 0) {
		json_decref(body);
		return -1;
	}
	return repo_submit(repo, role, body, NULL);
}

/* Returns 1 if there is a new one, 0 if the old one does, -1 on error. */
static int refresh_snapshot(struct repo *repo, bool renew)
{
	json_t *whole = repo_published(repo, "snapshot");
	json_t *body = json_object_get(whole, "signed");
	json_t *meta = list_roles(repo, json_object_get(body, "meta"));
	int done = -1;

	if (!meta)
		log_error("snapshot: a role that must be in it can't be read");
	else if (whole && json_equal(meta, json_object_get(body, "meta")) &&
		 repo_is_valid(repo, "snapshot") && !(renew && is_ageing(repo, body, "snapshot")))
		done = 0;
	else
		done = submit_meta(repo, "snapshot", meta) < 0 ? -1 : 1;
	json_decref(whole);
	json_decref(meta);
	return done;
}

static int refresh_timestamp(struct repo *repo)
{
	json_t *snapshot = describe(repo, "snapshot");
	json_t *meta = json_pack("{s:o}", "snapshot.json", snapshot);
	int err = meta ? submit_meta(repo, "timestamp", meta) : -1;

	json_decref(meta);
	return err;
}

static bool can_sign(const struct repo *repo, const char *role)
{
	const json_t *of = tuf_root_role(&repo->root, role);
	const json_t *keyids = json_object_get(of, "keyids");
	json_int_t here = 0;

	for (size_t i = 0; i < json_array_size(keyids); i++)
		here += keyring_find(repo->ring, json_string_value(json_array_get(keyids, i))) !=
			NULL;
	return here >= json_integer_value(json_object_get(of, "threshold"));
}

int repo_refresh(struct repo *repo, bool renew)
{
	int fresh;

	if (!can_sign(repo, "snapshot") || !can_sign(repo, "timestamp")) {
		repo->staged = true;
		log_warning("snapshot and timestamp: their keys are not here: run conntrace-repo "
			    "refresh where they are");
		return 0;
	}
	fresh = refresh_snapshot(repo, renew);
	if (fresh < 0)
		return -1;
	return fresh || renew || !repo_is_valid(repo, "timestamp") ? refresh_timestamp(repo) : 0;
}
