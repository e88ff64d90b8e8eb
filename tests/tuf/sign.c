/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuf/sign.h"

#include <stdlib.h>

#include "tuf/json.h"

#define RAW_LEN 32u
#define SIG_LEN 64u

/* A test without memory has no result. */
static json_t *need(json_t *value)
{
	if (!value)
		abort();
	return value;
}

static void read_raw(const struct sign_key *key, uint8_t raw[RAW_LEN])
{
	size_t len = RAW_LEN;

	if (EVP_PKEY_get_raw_public_key(key->key, raw, &len) != 1 || len != RAW_LEN)
		abort();
}

void sign_key_make(struct sign_key *key)
{
	uint8_t raw[RAW_LEN];
	struct tuf_digest digest;

	key->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!key->key)
		abort();
	read_raw(key, raw);
	if (tuf_digest_of(raw, sizeof(raw), &digest) < 0)
		abort();
	tuf_hex_write(digest.sha256, sizeof(digest.sha256), key->id);
}

void sign_key_free(struct sign_key *key)
{
	EVP_PKEY_free(key->key);
}

json_t *sign_role(const struct sign_key *const *keys, size_t count, int threshold)
{
	json_t *ids = need(json_array());

	for (size_t i = 0; i < count; i++)
		json_array_append_new(ids, need(json_string(keys[i]->id)));
	return need(json_pack("{s:o, s:i}", "keyids", ids, "threshold", threshold));
}

void sign_put_key(json_t *keys, const struct sign_key *key)
{
	uint8_t raw[RAW_LEN];
	char hex[2 * RAW_LEN + 1];

	read_raw(key, raw);
	tuf_hex_write(raw, sizeof(raw), hex);
	json_object_set_new(keys, key->id,
			    need(json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme",
					   "ed25519", "keyval", "public", hex)));
}

static json_t *sign_bytes(const struct sign_key *key, const char *bytes, size_t len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t sig[SIG_LEN];
	size_t sig_len = sizeof(sig);
	char hex[2 * SIG_LEN + 1];

	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) != 1 ||
	    EVP_DigestSign(context, sig, &sig_len, (const unsigned char *)bytes, len) != 1)
		abort();
	EVP_MD_CTX_free(context);
	tuf_hex_write(sig, sig_len, hex);
	return need(json_pack("{s:s, s:s}", "keyid", key->id, "sig", hex));
}

char *sign_body(json_t *body, const struct sign_key *const *keys, size_t count)
{
	json_t *signatures = need(json_array()), *whole;
	char *bytes, *text;
	size_t len;

	if (tuf_json_canonical(body, &bytes, &len) < 0)
		abort();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(signatures, sign_bytes(keys[i], bytes, len));
	free(bytes);
	whole = need(json_pack("{s:o, s:O}", "signatures", signatures, "signed", body));
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	if (!text)
		abort();
	return text;
}
