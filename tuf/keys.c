/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/keys.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX (8 * (int)TUF_SIGNATURE_MAX)

static EVP_PKEY *load_ed25519(const char *text)
{
	uint8_t raw[32];

	if (tuf_hex_read(text, raw, sizeof(raw)) < 0)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof(raw));
}

bool tuf_key_is_p256(const EVP_PKEY *key)
{
	char group[32];

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static bool is_rsa(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
	       EVP_PKEY_get_bits(key) <= RSA_BITS_MAX;
}

static EVP_PKEY *load_pem(const char *text, bool (*is_wanted)(const EVP_PKEY *))
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (!key || is_wanted(key))
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

static EVP_PKEY *load_p256(const char *text)
{
	return load_pem(text, tuf_key_is_p256);
}

static EVP_PKEY *load_rsa(const char *text)
{
	return load_pem(text, is_rsa);
}

static const struct {
	const char *type, *name;
	enum tuf_scheme scheme;
	EVP_PKEY *(*load)(const char *text);
} schemes[] = {
	{"ed25519", "ed25519", TUF_ED25519, load_ed25519},
	{"ecdsa", "ecdsa-sha2-nistp256", TUF_ECDSA, load_p256},
	/* The name of the type before specification 1.0.27. */
	{"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", TUF_ECDSA, load_p256},
	{"rsa", "rsassa-pss-sha256", TUF_RSA_PSS, load_rsa},
};

static void load(struct tuf_key *key, const char *type, const char *scheme, const char *public)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strcmp(type, schemes[i].type) == 0 && strcmp(scheme, schemes[i].name) == 0) {
			key->scheme = schemes[i].scheme;
			key->key = schemes[i].load(public);
		}
	}
	ERR_clear_error();
}

int tuf_key_id(const json_t *key, char id[2 * TUF_SHA256_LEN + 1])
{
	uint8_t hash[TUF_SHA256_LEN];
	char *bytes;
	size_t len;
	int err = tuf_json_canonical(key, &bytes, &len);

	if (!err && EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL) != 1)
		err = -ENOMEM;
	free(bytes);
	if (!err)
		tuf_hex_write(hash, sizeof(hash), id);
	return err;
}

static enum tuf_result check_id(const char *id, const json_t *key, struct tuf_why *why)
{
	char computed[2 * TUF_SHA256_LEN + 1];

	if (tuf_key_id(key, computed) < 0)
		return tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	if (strcmp(computed, id) != 0)
		return tuf_refuse(why, TUF_UNTRUSTED, "key %.64s: its keyid should be %s", id,
				  computed);
	return TUF_OK;
}

static enum tuf_result read_key(struct tuf_key *key, const char *id, const json_t *from,
				struct tuf_why *why)
{
	const json_t *value = json_object_get(from, "keyval");
	const char *type = tuf_json_text(from, "keytype");
	const char *scheme = tuf_json_text(from, "scheme");
	const char *public = tuf_json_text(value, "public");

	if (!type || !scheme || !json_is_object(value))
		return tuf_refuse(why, TUF_MALFORMED, "key %.64s: lacks keytype, scheme or keyval",
				  id);
	key->id = id;
	if (public)
		load(key, type, scheme, public);
	return TUF_OK;
}

enum tuf_result tuf_keys_read(struct tuf_keys *keys, json_t *map, bool any_keyid,
			      struct tuf_why *why)
{
	enum tuf_result result = TUF_OK;
	const char *id;
	json_t *from;

	keys->count = 0;
	if (!json_is_object(map))
		return tuf_refuse(why, TUF_MALFORMED, "keys: not an object");
	if (json_object_size(map) > TUF_KEYS_MAX)
		return tuf_refuse(why, TUF_MALFORMED, "keys: more than %u", TUF_KEYS_MAX);
	json_object_foreach(map, id, from)
	{
		struct tuf_key *key = &keys->list[keys->count++];

		*key = (struct tuf_key){.id = id};
		result = read_key(key, id, from, why);
		if (result == TUF_OK && !any_keyid)
			result = check_id(id, from, why);
		if (result != TUF_OK)
			break;
	}
	return result;
}

void tuf_keys_free(struct tuf_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		EVP_PKEY_free(keys->list[i].key);
	keys->count = 0;
}

const struct tuf_key *tuf_keys_find(const struct tuf_keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->list[i].id, id) == 0)
			return &keys->list[i];
	return NULL;
}
