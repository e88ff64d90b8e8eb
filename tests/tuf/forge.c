/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuf/forge.h"

#include <stdlib.h>
#include <string.h>

/* A test without memory has no result. */
static json_t *need(json_t *value)
{
	if (!value)
		abort();
	return value;
}

json_t *forge_key(uint8_t number, char id[2 * TUF_SHA256_LEN + 1])
{
	uint8_t raw[32];
	char hex[sizeof(raw) * 2 + 1];
	json_t *key;

	memset(raw, number, sizeof(raw));
	tuf_hex_write(raw, sizeof(raw), hex);
	key = need(json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519",
			     "keyval", "public", hex));
	if (tuf_key_id(key, id) < 0)
		abort();
	return key;
}

json_t *forge_role(uint8_t key)
{
	char id[2 * TUF_SHA256_LEN + 1];

	json_decref(forge_key(key, id));
	return need(json_pack("{s:[s], s:i}", "keyids", id, "threshold", 1));
}

static json_t *head(const char *type, int64_t version)
{
	return need(json_pack("{s:s, s:s, s:I, s:s}", "_type", type, "spec_version", "1.0.31",
			      "version", (json_int_t)version, "expires", FORGE_FUTURE));
}

static void put_key(json_t *keys, uint8_t number)
{
	char id[2 * TUF_SHA256_LEN + 1];
	json_t *key = forge_key(number, id);

	json_object_set_new(keys, id, key);
}

json_t *forge_root(int64_t version, uint8_t online_key, bool consistent)
{
	json_t *body = head("root", version), *keys = json_object();

	put_key(keys, 0);
	put_key(keys, online_key);
	json_object_set_new(body, "keys", keys);
	json_object_set_new(body, "consistent_snapshot", json_boolean(consistent));
	json_object_set_new(body, "roles",
			    need(json_pack("{s:o, s:o, s:o, s:o}", "root", forge_role(0),
					   "timestamp", forge_role(online_key), "snapshot",
					   forge_role(online_key), "targets", forge_role(0))));
	return body;
}

static json_t *list(json_t *body, const char *name, int64_t version)
{
	json_object_set_new(body, "meta",
			    need(json_pack("{s:{s:I}}", name, "version", (json_int_t)version)));
	return body;
}

json_t *forge_timestamp(int64_t version, int64_t snapshot)
{
	return list(head("timestamp", version), "snapshot.json", snapshot);
}

json_t *forge_snapshot(int64_t version, int64_t targets)
{
	return list(head("snapshot", version), "targets.json", targets);
}

json_t *forge_targets(int64_t version)
{
	json_t *body = head("targets", version);

	json_object_set_new(body, "targets", json_object());
	return body;
}

void forge_add(json_t *targets, const char *path, const char *bytes)
{
	struct tuf_digest digest;
	char hex[TUF_HEX_MAX];

	if (tuf_digest_of(bytes, strlen(bytes), &digest) < 0)
		abort();
	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
	json_object_set_new(json_object_get(targets, "targets"), path,
			    need(json_pack("{s:I, s:{s:s}}", "length", (json_int_t)digest.length,
					   "hashes", "sha256", hex)));
}

void forge_delegate(json_t *targets, const char *name, const char *pattern, uint8_t key)
{
	json_t *role = forge_role(key), *delegations;

	if (!json_object_get(targets, "delegations"))
		json_object_set_new(targets, "delegations",
				    need(json_pack("{s:{}, s:[]}", "keys", "roles")));
	delegations = json_object_get(targets, "delegations");
	put_key(json_object_get(delegations, "keys"), key);
	json_object_set_new(role, "name", json_string(name));
	json_object_set_new(role, "terminating", json_false());
	json_object_set_new(role, "paths", need(json_pack("[s]", pattern)));
	json_array_append_new(json_object_get(delegations, "roles"), role);
}

char *forge_sign(json_t *body, uint8_t key, uint8_t other, bool good)
{
	char id[2][2 * TUF_SHA256_LEN + 1];
	const char *sig = good ? "aa" : "bb";
	json_t *whole, *signatures;
	char *text;

	json_decref(forge_key(key, id[0]));
	json_decref(forge_key(other, id[1]));
	signatures = need(json_pack("[{s:s, s:s}]", "keyid", id[0], "sig", sig));
	if (key != other)
		json_array_append_new(signatures,
				      need(json_pack("{s:s, s:s}", "keyid", id[1], "sig", sig)));
	whole = need(json_pack("{s:o, s:o}", "signatures", signatures, "signed", body));
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	if (!text)
		abort();
	return text;
}
