/* SPDX-License-Identifier: Apache-2.0 */
/* Signing, and the way from a new body to a published file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "repo/repo.h"
#include "tuf/json.h"

/* --- bodies --------------------------------------------------------------------------------------
 */

/* Offline roles are signed by people, and so seldom; online ones by a timer. */
static const struct {
	const char *role;
	uint32_t days;
} defaults[] = {{"timestamp", 7}, {"snapshot", 30}};

uint32_t repo_days(const struct repo *repo, const char *role)
{
	uint32_t days = 365;

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (strcmp(role, defaults[i].role) == 0)
			days = defaults[i].days;
	return repo_number(&repo->options->days, role, days);
}

static json_t *expiry(uint32_t days)
{
	time_t at = time(NULL) + (time_t)days * 86400;
	struct tm parts;
	char text[32];

	if (!gmtime_r(&at, &parts) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) !=
					      sizeof("YYYY-MM-DDThh:mm:ssZ") - 1)
		return NULL;
	return json_string(text);
}

int repo_renew(const struct repo *repo, json_t *body, const char *role, uint32_t days)
{
	int64_t version = repo_version(repo, role);

	if (version >= 0 && json_object_set_new(body, "version", json_integer(version + 1)) == 0 &&
	    json_object_set_new(body, "expires", expiry(days)) == 0)
		return 0;
	log_error("%s: what is published can't be read, or the expiry is no date", role);
	return -1;
}

json_t *repo_body(const struct repo *repo, const char *type, const char *role, uint32_t days)
{
	json_t *body = json_pack("{s:s, s:s}", "_type", type, "spec_version", "1.0.34");

	if (body && repo_renew(repo, body, role, days) == 0)
		return body;
	json_decref(body);
	return NULL;
}

/* --- signing -------------------------------------------------------------------------------------
 */

static void remove_signature(json_t *signatures, const char *id)
{
	for (size_t i = json_array_size(signatures); i-- > 0;) {
		const char *other = tuf_json_text(json_array_get(signatures, i), "keyid");

		if (other && strcmp(other, id) == 0)
			json_array_remove(signatures, i);
	}
}

int repo_add_signature(json_t *whole, const struct keyring_key *key)
{
	json_t *signatures = json_object_get(whole, "signatures");
	char *bytes = NULL, *sig = NULL;
	size_t len;
	int err = tuf_json_canonical(json_object_get(whole, "signed"), &bytes, &len);

	if (!err)
		sig = keyring_sign(key, bytes, len);
	remove_signature(signatures, key->id);
	if (!sig || json_array_append_new(
			    signatures, json_pack("{s:s, s:s}", "keyid", key->id, "sig", sig)) < 0)
		err = -1;
	free(sig);
	free(bytes);
	return err ? -1 : 0;
}

/* Whose signatures a file needs. */
struct authority {
	const struct tuf_keys *keys;
	const json_t *role;
};

/* At most two for a root, the old one and its own. */
struct authorities {
	size_t count;
	struct authority list[2];
	struct tuf_metadata delegator; /* of a delegated role: the targets that delegate */
};

static void add_authority(struct authorities *authorities, const struct tuf_keys *keys,
			  const json_t *role)
{
	if (role)
		authorities->list[authorities->count++] = (struct authority){keys, role};
}

static bool is_top(const char *role, enum tuf_kind *kind)
{
	for (*kind = TUF_ROOT; *kind < TUF_KINDS; (*kind)++)
		if (strcmp(role, tuf_kind_name(*kind)) == 0)
			return true;
	*kind = TUF_TARGETS;
	return false;
}

static char *dump(const json_t *whole)
{
	char *text = json_dumps(whole, JSON_INDENT(1));
	char *line = NULL;

	if (!text || asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

/* By the targets that are to come, if there are such. */
static int find_delegator(const struct repo *repo, const char *role, struct authorities *found)
{
	json_t *whole = repo_latest(repo, "targets");
	char *text = whole ? dump(whole) : NULL;
	const json_t *delegation;
	struct tuf_why why = {.text = ""};

	json_decref(whole);
	if (!text || tuf_metadata_read(&found->delegator, TUF_TARGETS, TUF_STRICT, text,
				       strlen(text), &why) != TUF_OK) {
		log_error("targets: can't be read: %s", why.text);
		free(text);
		return -1;
	}
	free(text);
	for (size_t i = 0; (delegation = tuf_targets_delegation(&found->delegator, i)); i++)
		if (strcmp(tuf_json_text(delegation, "name"), role) == 0)
			add_authority(found, &found->delegator.keys, delegation);
	if (found->count)
		return 0;
	log_error("%s: nobody delegates to it: conntrace-repo delegate", role);
	return -1;
}

static int find_authorities(const struct repo *repo, const char *role,
			    const struct tuf_metadata *metadata, struct authorities *found)
{
	enum tuf_kind kind;

	memset(found, 0, sizeof(*found));
	if (!is_top(role, &kind))
		return find_delegator(repo, role, found);
	if (repo->root.whole)
		add_authority(found, &repo->root.keys, tuf_root_role(&repo->root, role));
	if (kind == TUF_ROOT)
		add_authority(found, &metadata->keys, tuf_root_role(metadata, role));
	return 0;
}

static int sign_by_ring(const struct repo *repo, const struct authorities *authorities,
			json_t *whole)
{
	for (size_t a = 0; a < authorities->count; a++) {
		const json_t *keyids = json_object_get(authorities->list[a].role, "keyids");

		for (size_t i = 0; i < json_array_size(keyids); i++) {
			const struct keyring_key *key = keyring_find(
				repo->ring, json_string_value(json_array_get(keyids, i)));

			if (key && repo_add_signature(whole, key) < 0)
				return -1;
		}
	}
	return 0;
}

static bool is_signed(const struct authorities *authorities, const struct tuf_metadata *metadata,
		      struct tuf_why *why)
{
	for (size_t a = 0; a < authorities->count; a++)
		if (tuf_metadata_verify(metadata, authorities->list[a].keys,
					authorities->list[a].role, why) != TUF_OK)
			return false;
	return authorities->count > 0;
}

/* --- publishing ----------------------------------------------------------------------------------
 */

static int write_file(int dir_fd, const char *folder, const char *name, const char *text)
{
	int err = wholefile_write(dir_fd, name, text, strlen(text), 0644);

	if (err)
		log_error("%s/%s: can't be written: %s", folder, name, strerror(-err));
	return err ? -1 : 0;
}

static int publish(struct repo *repo, const char *role, const struct tuf_metadata *metadata,
		   const char *text)
{
	bool is_root = strcmp(role, "root") == 0;
	bool versioned =
		is_root || (strcmp(role, "timestamp") != 0 && tuf_root_consistent(&repo->root));
	char name[REPO_ROLE_MAX + 32], staged[REPO_ROLE_MAX + 8];
	struct tuf_why why;

	if (versioned)
		snprintf(name, sizeof(name), "%llu.%s.json", (unsigned long long)metadata->version,
			 role);
	else
		snprintf(name, sizeof(name), "%s.json", role);
	if (write_file(repo->metadata_fd, "metadata", name, text) < 0)
		return -1;
	snprintf(staged, sizeof(staged), "%s.json", role);
	(void)unlinkat(repo->staged_fd, staged, 0);
	log_info("published metadata/%s", name);
	if (!is_root)
		return 0;
	tuf_metadata_free(&repo->root);
	return tuf_metadata_read(&repo->root, TUF_ROOT, TUF_STRICT, text, strlen(text), &why) ==
			       TUF_OK
		       ? 0
		       : -1;
}

static int write_staged(const struct repo *repo, const char *role, const char *text)
{
	char name[REPO_ROLE_MAX + 8];

	snprintf(name, sizeof(name), "%s.json", role);
	return write_file(repo->staged_fd, "staged", name, text);
}

int repo_stage(const struct repo *repo, const char *role, json_t *body)
{
	json_t *whole = json_pack("{s:[], s:o}", "signatures", "signed", body);
	char *text = whole ? dump(whole) : NULL;
	int err = text ? write_staged(repo, role, text) : -1;

	json_decref(whole);
	free(text);
	return err;
}

static int stage(struct repo *repo, const char *role, const char *text, const char *reason)
{
	repo->staged = true;
	log_warning("staged/%s.json waits: %s", role, reason);
	return write_staged(repo, role, text);
}

/* A role that is delegated to but not published would end each search that reaches it. */
static const char *unpublished_delegation(const struct repo *repo,
					  const struct tuf_metadata *metadata)
{
	const json_t *delegation;

	for (size_t i = 0; (delegation = tuf_targets_delegation(metadata, i)); i++)
		if (repo_version(repo, tuf_json_text(delegation, "name")) == 0)
			return tuf_json_text(delegation, "name");
	return NULL;
}

static int publish_or_stage(struct repo *repo, const char *role, const char *text,
			    const struct tuf_metadata *metadata,
			    const struct authorities *authorities)
{
	const char *absent =
		strcmp(role, "targets") == 0 ? unpublished_delegation(repo, metadata) : NULL;
	struct tuf_why why = {.text = "nobody may sign it"};
	char reason[TUF_WHY_MAX + 64];

	if (!is_signed(authorities, metadata, &why)) {
		snprintf(reason, sizeof(reason), "%s: conntrace-repo sign", why.text);
		return stage(repo, role, text, reason);
	}
	if (absent) {
		snprintf(reason, sizeof(reason), "%s must be signed first: conntrace-repo sign",
			 absent);
		return stage(repo, role, text, reason);
	}
	return publish(repo, role, metadata, text);
}

static int submit(struct repo *repo, const char *role, json_t *whole)
{
	struct authorities authorities = {.count = 0};
	struct tuf_metadata metadata = {.whole = NULL};
	struct tuf_why why;
	enum tuf_kind kind;
	char *text = dump(whole);
	int err = -1;

	(void)is_top(role, &kind);
	/* Read twice: what a root asks for must be known before it is signed, and what clients will
	   read is what is checked. */
	if (text &&
	    tuf_metadata_read(&metadata, kind, TUF_STRICT, text, strlen(text), &why) == TUF_OK)
		err = find_authorities(repo, role, &metadata, &authorities);
	else
		log_error("%s: %s", role, text ? why.text : "out of memory");
	if (!err)
		err = sign_by_ring(repo, &authorities, whole);
	if (!err) {
		struct tuf_metadata done;

		free(text);
		text = dump(whole);
		if (text &&
		    tuf_metadata_read(&done, kind, TUF_STRICT, text, strlen(text), &why) == TUF_OK)
			err = publish_or_stage(repo, role, text, &done, &authorities);
		else
			log_error("%s: %s", role, text ? why.text : "out of memory");
		if (text)
			tuf_metadata_free(&done);
	}
	tuf_metadata_free(&metadata);
	tuf_metadata_free(&authorities.delegator);
	free(text);
	return err;
}

int repo_submit(struct repo *repo, const char *role, json_t *body, json_t *signatures)
{
	json_t *whole = json_pack("{s:o, s:o}", "signatures",
				  signatures ? signatures : json_array(), "signed", body);
	int err = whole ? submit(repo, role, whole) : -1;

	json_decref(whole);
	return err;
}

bool repo_is_valid(const struct repo *repo, const char *role)
{
	struct authorities authorities = {.count = 0};
	struct tuf_metadata metadata = {.whole = NULL};
	struct tuf_why why;
	enum tuf_kind kind;
	char *bytes;
	size_t len;
	bool valid;

	(void)is_top(role, &kind);
	if (repo_published_bytes(repo, role, &bytes, &len) < 0 || !bytes)
		return false;
	valid = tuf_metadata_read(&metadata, kind, TUF_STRICT, bytes, len, &why) == TUF_OK &&
		find_authorities(repo, role, &metadata, &authorities) == 0 &&
		is_signed(&authorities, &metadata, &why);
	free(bytes);
	tuf_metadata_free(&metadata);
	tuf_metadata_free(&authorities.delegator);
	return valid;
}
