/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata with signatures that are real: ed25519, made anew in each run. */
#ifndef TESTS_TUF_SIGN_H
#define TESTS_TUF_SIGN_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>

#include "tuf/digest.h"

/* A key as repositories have it that call it by the SHA-256 of its raw 32 bytes. */
struct sign_key {
	EVP_PKEY *key;
	char id[2 * TUF_SHA256_LEN + 1];
};

void sign_key_make(struct sign_key *key);
void sign_key_free(struct sign_key *key);

/* {"keyids": [...], "threshold": N} of the first count keys; the caller's. */
json_t *sign_role(const struct sign_key *const *keys, size_t count, int threshold);

/* Add a key to an object of keyid: key. */
void sign_put_key(json_t *keys, const struct sign_key *key);

/* The file: body, which stays the caller's, signed by count keys. malloc'ed text, the caller's. */
char *sign_body(json_t *body, const struct sign_key *const *keys, size_t count);

#endif
