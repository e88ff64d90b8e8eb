/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/metadata.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"
#include "tuf/shape.h"

/* By enum tuf_kind. */
static const struct {
	const char *name;
	size_t max_bytes;
	enum tuf_result (*check)(struct tuf_metadata *metadata, struct tuf_why *why);
} kinds[TUF_KINDS] = {
	[TUF_ROOT] = {"root", TUF_ROOT_MAX, shape_check_root},
	[TUF_TIMESTAMP] = {"timestamp", TUF_TIMESTAMP_MAX, shape_check_timestamp},
	[TUF_SNAPSHOT] = {"snapshot", TUF_SNAPSHOT_MAX, shape_check_snapshot},
	[TUF_TARGETS] = {"targets", TUF_TARGETS_MAX, shape_check_targets},
};

const char *tuf_kind_name(enum tuf_kind kind)
{
	return kinds[kind].name;
}

size_t tuf_kind_max(enum tuf_kind kind)
{
	return kinds[kind].max_bytes;
}

/* "1.x" or "1.x.y" */
static bool is_spec_version(const char *text)
{
	const char digits[] = "0123456789";
	size_t minor, patch;

	if (strncmp(text, "1.", 2) != 0)
		return false;
	text += 2;
	minor = strspn(text, digits);
	if (!minor || text[minor] == '\0')
		return minor > 0;
	text += minor;
	patch = text[0] == '.' ? strspn(text + 1, digits) : 0;
	return patch > 0 && text[1 + patch] == '\0';
}

static enum tuf_result check_head(struct tuf_metadata *metadata, struct tuf_why *why)
{
	const json_t *body = metadata->body;
	const char *type = tuf_json_text(body, "_type");
	const char *spec = tuf_json_text(body, "spec_version");
	const char *expires = tuf_json_text(body, "expires");
	int64_t version;

	if (!type || strcmp(type, kinds[metadata->kind].name) != 0)
		return tuf_refuse(why, TUF_UNTRUSTED, "_type: not \"%s\"",
				  kinds[metadata->kind].name);
	if (!spec || !is_spec_version(spec))
		return tuf_refuse(why, TUF_MALFORMED, "spec_version: not 1.x or 1.x.y");
	if (tuf_json_integer(body, "version", 1, TUF_VERSION_MAX, &version) < 0)
		return tuf_refuse(why, TUF_MALFORMED, "version: not an integer from 1 to 2^53-1");
	if (!expires ||
	    tuf_time_read(expires, metadata->lenience & TUF_ANY_FRACTION, &metadata->expires_s) < 0)
		return tuf_refuse(why, TUF_MALFORMED, "expires: not YYYY-MM-DDThh:mm:ssZ");
	metadata->version = (uint64_t)version;
	return TUF_OK;
}

enum tuf_result tuf_metadata_read(struct tuf_metadata *metadata, enum tuf_kind kind,
				  unsigned int lenience, const void *bytes, size_t len,
				  struct tuf_why *why)
{
	enum tuf_result result;

	memset(metadata, 0, sizeof(*metadata));
	metadata->kind = kind;
	metadata->lenience = lenience;
	if (len > kinds[kind].max_bytes)
		return tuf_refuse(why, TUF_TOO_LARGE, "larger than %zu bytes",
				  kinds[kind].max_bytes);
	result = tuf_json_parse(bytes, len, &metadata->whole, why);
	if (result != TUF_OK)
		return result;
	metadata->body = json_object_get(metadata->whole, "signed");
	if (!json_is_object(metadata->body))
		return tuf_refuse(why, TUF_MALFORMED, "signed: not an object");
	result = shape_check_signatures(json_object_get(metadata->whole, "signatures"), why);
	if (result == TUF_OK)
		result = check_head(metadata, why);
	if (result == TUF_OK)
		result = kinds[kind].check(metadata, why);
	if (result == TUF_OK && (tuf_digest_of(bytes, len, &metadata->digest) < 0 ||
				 tuf_json_canonical(metadata->body, &metadata->canonical,
						    &metadata->canonical_len) < 0))
		result = tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	return result;
}

void tuf_metadata_free(struct tuf_metadata *metadata)
{
	tuf_keys_free(&metadata->keys);
	json_decref(metadata->whole);
	free(metadata->canonical);
	memset(metadata, 0, sizeof(*metadata));
}

/* Those who signed, each key once: one key under two keyids is one. */
struct signers {
	size_t count;
	const struct tuf_key *list[TUF_SIGNATURES_MAX];
};

static bool is_new(const struct signers *signers, const struct tuf_key *key)
{
	for (size_t i = 0; i < signers->count; i++)
		if (EVP_PKEY_eq(signers->list[i]->key, key->key) == 1)
			return false;
	return true;
}

static bool is_listed(const json_t *keyids, const char *id)
{
	for (size_t i = 0; i < json_array_size(keyids); i++)
		if (strcmp(json_string_value(json_array_get(keyids, i)), id) == 0)
			return true;
	return false;
}

static void count_signature(struct signers *signers, const struct tuf_metadata *metadata,
			    const struct tuf_key *key, const char *hex)
{
	uint8_t sig[TUF_SIGNATURE_MAX];
	size_t len = strlen(hex) / 2;

	if (!key || !key->key || len == 0 || len > sizeof(sig) || tuf_hex_read(hex, sig, len) < 0)
		return;
	if (is_new(signers, key) &&
	    tuf_key_verify(key, metadata->canonical, metadata->canonical_len, sig, len))
		signers->list[signers->count++] = key;
}

enum tuf_result tuf_metadata_verify(const struct tuf_metadata *metadata,
				    const struct tuf_keys *keys, const json_t *role,
				    struct tuf_why *why)
{
	const json_t *signatures = json_object_get(metadata->whole, "signatures");
	const json_t *keyids = json_object_get(role, "keyids");
	json_int_t threshold = json_integer_value(json_object_get(role, "threshold"));
	struct signers signers = {.count = 0};

	for (size_t i = 0; i < json_array_size(signatures); i++) {
		const json_t *signature = json_array_get(signatures, i);
		const char *id = tuf_json_text(signature, "keyid");

		if (is_listed(keyids, id))
			count_signature(&signers, metadata, tuf_keys_find(keys, id),
					tuf_json_text(signature, "sig"));
	}
	/* Whoever built role without the checks of shape.c must not get a threshold of nothing. */
	if (threshold >= 1 && (json_int_t)signers.count >= threshold)
		return TUF_OK;
	return tuf_refuse(why, TUF_UNTRUSTED, "signed by %zu keys that count, %lld are needed",
			  signers.count, (long long)threshold);
}

enum tuf_result tuf_root_verify(const struct tuf_metadata *root, const struct tuf_metadata *old,
				struct tuf_why *why)
{
	enum tuf_result result = TUF_OK;

	if (old)
		result = tuf_metadata_verify(root, &old->keys, tuf_root_role(old, "root"), why);
	if (result == TUF_OK)
		result = tuf_metadata_verify(root, &root->keys, tuf_root_role(root, "root"), why);
	if (result != TUF_OK || !old || root->version == old->version + 1)
		return result;
	return tuf_refuse(why, root->version <= old->version ? TUF_ROLLBACK : TUF_UNTRUSTED,
			  "version %" PRIu64 " where %" PRIu64 " must be", root->version,
			  old->version + 1);
}

enum tuf_result tuf_root_read(struct tuf_metadata *root, const struct tuf_metadata *old,
			      unsigned int lenience, const void *bytes, size_t len,
			      struct tuf_why *why)
{
	enum tuf_result result = tuf_metadata_read(root, TUF_ROOT, lenience, bytes, len, why);

	return result == TUF_OK ? tuf_root_verify(root, old, why) : result;
}

const json_t *tuf_root_role(const struct tuf_metadata *root, const char *name)
{
	return json_object_get(json_object_get(root->body, "roles"), name);
}

bool tuf_root_consistent(const struct tuf_metadata *root)
{
	return json_is_true(json_object_get(root->body, "consistent_snapshot"));
}

int tuf_metadata_listed(const struct tuf_metadata *metadata, const char *name,
			struct tuf_listed *listed)
{
	const json_t *entry = json_object_get(json_object_get(metadata->body, "meta"), name);
	struct tuf_why why;
	int64_t version;

	if (tuf_json_integer(entry, "version", 1, TUF_VERSION_MAX, &version) < 0)
		return -1;
	listed->version = (uint64_t)version;
	return tuf_digest_read(entry, false, &listed->digest, &why) == TUF_OK ? 0 : -1;
}

const json_t *tuf_targets_listed(const struct tuf_metadata *targets, const char *path)
{
	return json_object_get(json_object_get(targets->body, "targets"), path);
}

const json_t *tuf_targets_delegation(const struct tuf_metadata *targets, size_t index)
{
	const json_t *delegations = json_object_get(targets->body, "delegations");

	return json_array_get(json_object_get(delegations, "roles"), index);
}
