/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/shape.h"

#include <stdio.h>
#include <string.h>

#include "tuf/json.h"
#include "tuf/names.h"

static enum tuf_result malformed(struct tuf_why *why, const char *what, const char *name)
{
	return tuf_refuse(why, TUF_MALFORMED, "%.100s: %s", name, what);
}

/* Whether an array holds texts only, each once. */
static bool has_texts_once(const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text)
			return false;
		for (size_t other = 0; other < i; other++)
			if (strcmp(json_string_value(json_array_get(array, other)), text) == 0)
				return false;
	}
	return json_is_array(array);
}

/* Each is tried on every path that is asked for, so none may be of any length. */
static bool has_patterns(const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || strlen(text) >= TUF_PATH_MAX)
			return false;
	}
	return json_is_array(array);
}

enum tuf_result shape_check_signatures(const json_t *signatures, struct tuf_why *why)
{
	if (!json_is_array(signatures))
		return malformed(why, "not a list", "signatures");
	if (json_array_size(signatures) > TUF_SIGNATURES_MAX)
		return tuf_refuse(why, TUF_MALFORMED, "signatures: more than %u",
				  TUF_SIGNATURES_MAX);
	for (size_t i = 0; i < json_array_size(signatures); i++) {
		const json_t *signature = json_array_get(signatures, i);
		const char *id = tuf_json_text(signature, "keyid");

		if (!id || !tuf_json_text(signature, "sig"))
			return malformed(why, "one lacks keyid or sig", "signatures");
		for (size_t other = 0; other < i; other++)
			if (strcmp(tuf_json_text(json_array_get(signatures, other), "keyid"), id) ==
			    0)
				return malformed(why, "twice in signatures", id);
	}
	return TUF_OK;
}

static enum tuf_result check_role(const json_t *role, const char *name, struct tuf_why *why)
{
	const json_t *keyids = json_object_get(role, "keyids");
	int64_t threshold;

	if (!json_is_object(role))
		return malformed(why, "no such role", name);
	if (json_array_size(keyids) > TUF_KEYS_MAX || !has_texts_once(keyids))
		return malformed(why, "keyids: not a list of keyids, each once", name);
	if (tuf_json_integer(role, "threshold", 1, TUF_KEYS_MAX, &threshold) < 0)
		return malformed(why, "threshold: not an integer from 1 to 64", name);
	return TUF_OK;
}
_Static_assert(TUF_KEYS_MAX == 64 && TUF_PATH_MAX == 256, "shape: numbers in texts");

enum tuf_result shape_check_root(struct tuf_metadata *metadata, struct tuf_why *why)
{
	const json_t *consistent = json_object_get(metadata->body, "consistent_snapshot");
	enum tuf_result result;

	if (consistent && !json_is_boolean(consistent))
		return malformed(why, "neither true nor false", "consistent_snapshot");
	result = tuf_keys_read(&metadata->keys, json_object_get(metadata->body, "keys"),
			       metadata->lenience & TUF_ANY_KEYID, why);
	for (enum tuf_kind kind = TUF_ROOT; kind < TUF_KINDS && result == TUF_OK; kind++)
		result = check_role(tuf_root_role(metadata, tuf_kind_name(kind)),
				    tuf_kind_name(kind), why);
	return result;
}

/* The files that a timestamp or snapshot lists; needed must be among them. */
static enum tuf_result check_meta(const struct tuf_metadata *metadata, const char *needed,
				  struct tuf_why *why)
{
	json_t *meta = json_object_get(metadata->body, "meta");
	struct tuf_digest digest;
	int64_t version;
	const char *name;
	json_t *entry;

	if (!json_is_object(meta))
		return malformed(why, "not an object", "meta");
	json_object_foreach(meta, name, entry)
	{
		enum tuf_result result;

		if (tuf_json_integer(entry, "version", 1, TUF_VERSION_MAX, &version) < 0)
			return malformed(why, "version: not an integer from 1 to 2^53-1", name);
		result = tuf_digest_read(entry, false, &digest, why);
		if (result != TUF_OK)
			return result;
	}
	return json_object_get(meta, needed) ? TUF_OK : malformed(why, "not in meta", needed);
}

enum tuf_result shape_check_timestamp(struct tuf_metadata *metadata, struct tuf_why *why)
{
	return check_meta(metadata, "snapshot.json", why);
}

enum tuf_result shape_check_snapshot(struct tuf_metadata *metadata, struct tuf_why *why)
{
	return check_meta(metadata, "targets.json", why);
}

static enum tuf_result check_listed(json_t *targets, struct tuf_why *why)
{
	const char *path;
	json_t *entry;

	if (!json_is_object(targets))
		return malformed(why, "not an object", "targets");
	if (json_object_size(targets) > TUF_LISTED_MAX)
		return tuf_refuse(why, TUF_MALFORMED, "targets: more than %u", TUF_LISTED_MAX);
	json_object_foreach(targets, path, entry)
	{
		const json_t *custom = json_object_get(entry, "custom");
		struct tuf_digest digest;
		enum tuf_result result;

		if (custom && !json_is_object(custom))
			return malformed(why, "custom: not an object", path);
		result = tuf_digest_read(entry, true, &digest, why);
		/* One with hashes that are not known here must not hide the others. */
		if (result == TUF_MALFORMED)
			return result;
	}
	return TUF_OK;
}

static bool is_reserved(const char *name)
{
	for (enum tuf_kind kind = TUF_ROOT; kind < TUF_KINDS; kind++)
		if (strcmp(name, tuf_kind_name(kind)) == 0)
			return true;
	return false;
}

static enum tuf_result check_delegation(const json_t *role, struct tuf_why *why)
{
	const char *name = tuf_json_text(role, "name");
	const json_t *paths = json_object_get(role, "paths");
	const json_t *prefixes = json_object_get(role, "path_hash_prefixes");
	char encoded[TUF_NAME_MAX];
	enum tuf_result result;

	if (!name || !*name || is_reserved(name))
		return malformed(why, "a role's name is missing or reserved", "delegations");
	if (tuf_name_of_role(name, encoded) < 0)
		return malformed(why, "name of a role is too long", name);
	result = check_role(role, name, why);
	if (result != TUF_OK)
		return result;
	if (!json_is_boolean(json_object_get(role, "terminating")))
		return malformed(why, "terminating: neither true nor false", name);
	if (!paths == !prefixes)
		return malformed(why, "needs one of paths and path_hash_prefixes", name);
	return has_patterns(paths ? paths : prefixes)
		       ? TUF_OK
		       : malformed(why, "paths: not a list of texts of at most 255 bytes", name);
}

/* All bins share keys and threshold; the longest name of one must do for a file. */
static enum tuf_result check_bins(const json_t *bins, struct tuf_why *why)
{
	const char *prefix = tuf_json_text(bins, "name_prefix");
	char name[TUF_NAME_MAX], encoded[TUF_NAME_MAX];
	int64_t bits;

	if (tuf_json_integer(bins, "bit_length", 1, TUF_BIN_BITS_MAX, &bits) < 0)
		return malformed(why, "bit_length: not an integer from 1 to 32", "succinct_roles");
	if (!prefix || !*prefix ||
	    snprintf(name, sizeof(name), "%s-ffffffff", prefix) >= (int)sizeof(name) ||
	    tuf_name_of_role(name, encoded) < 0)
		return malformed(why, "name_prefix: missing or too long", "succinct_roles");
	return check_role(bins, "succinct_roles", why);
}

static enum tuf_result check_delegations(struct tuf_metadata *metadata, struct tuf_why *why)
{
	const json_t *delegations = json_object_get(metadata->body, "delegations");
	const json_t *roles = json_object_get(delegations, "roles"), *role;
	const json_t *bins = json_object_get(delegations, "succinct_roles");
	enum tuf_result result;

	if (!delegations)
		return TUF_OK;
	if (!roles == !bins)
		return malformed(why, "needs one of roles and succinct_roles", "delegations");
	if (bins)
		result = check_bins(bins, why);
	else if (!json_is_array(roles) || json_array_size(roles) > TUF_DELEGATIONS_MAX)
		result = tuf_refuse(why, TUF_MALFORMED,
				    "delegations.roles: not a list of at most %u",
				    TUF_DELEGATIONS_MAX);
	else
		result = TUF_OK;
	if (result != TUF_OK)
		return result;
	result = tuf_keys_read(&metadata->keys, json_object_get(delegations, "keys"),
			       metadata->lenience & TUF_ANY_KEYID, why);
	for (size_t i = 0; (role = json_array_get(roles, i)) && result == TUF_OK; i++) {
		result = check_delegation(role, why);
		for (size_t other = 0; other < i && result == TUF_OK; other++)
			if (strcmp(tuf_json_text(json_array_get(roles, other), "name"),
				   tuf_json_text(role, "name")) == 0)
				result = malformed(why, "delegated to twice",
						   tuf_json_text(role, "name"));
	}
	return result;
}

enum tuf_result shape_check_targets(struct tuf_metadata *metadata, struct tuf_why *why)
{
	enum tuf_result result = check_listed(json_object_get(metadata->body, "targets"), why);

	return result == TUF_OK ? check_delegations(metadata, why) : result;
}
