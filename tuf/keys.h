/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys of metadata: ed25519, ecdsa-sha2-nistp256, rsassa-pss-sha256. */
#ifndef TUF_KEYS_H
#define TUF_KEYS_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tuf/digest.h"
#include "tuf/result.h"

#define TUF_KEYS_MAX      64u
#define TUF_SIGNATURE_MAX 1024u /* bytes of one: an RSA key has at most 8192 bits */

enum tuf_scheme { TUF_ED25519, TUF_ECDSA, TUF_RSA_PSS };

struct tuf_key {
	const char *id; /* belongs to the JSON that the keys were read from */
	enum tuf_scheme scheme;
	EVP_PKEY *key; /* NULL: of a type that is not known, or no key of that type: never counts */
};

struct tuf_keys {
	size_t count;
	struct tuf_key list[TUF_KEYS_MAX];
};

/*
 * Read an object of keyid: key. The map must outlive keys, which the caller frees by
 * tuf_keys_free(), also after an error. Refused: more than TUF_KEYS_MAX, a keyid that is not the
 * SHA-256 of its key's canonical form (unless any_keyid), a key that lacks a member.
 */
enum tuf_result tuf_keys_read(struct tuf_keys *keys, json_t *map, bool any_keyid,
			      struct tuf_why *why);
void tuf_keys_free(struct tuf_keys *keys);

/* The key with an id, NULL if there is none. */
const struct tuf_key *tuf_keys_find(const struct tuf_keys *keys, const char *id);

/* The keyid: SHA-256 of the canonical form, in hexadecimal. Returns 0 or a negative errno. */
int tuf_key_id(const json_t *key, char id[2 * TUF_SHA256_LEN + 1]);

/* Whether a key is one of ECDSA on the curve P-256. */
bool tuf_key_is_p256(const EVP_PKEY *key);

/*
 * Whether sig is the key's signature of the bytes; key->key must not be NULL. In a file of its own,
 * so that a test can link another answer.
 */
bool tuf_key_verify(const struct tuf_key *key, const void *bytes, size_t len, const uint8_t *sig,
		    size_t sig_len);

#endif
