/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys in files, and what signs with them. */
#ifndef REPO_KEYRING_H
#define REPO_KEYRING_H

#include <jansson.h>
#include <openssl/evp.h>
#include <stddef.h>

#include "tuf/digest.h"

#define KEYRING_MAX 1024u /* keys */

enum key_type { KEY_ED25519, KEY_P256, KEY_TYPES };

struct keyring_key {
	char id[2 * TUF_SHA256_LEN + 1];
	json_t *public; /* as metadata has it */
	EVP_PKEY *private;
};

struct keyring {
	size_t count;
	struct keyring_key list[KEYRING_MAX];
};

/* The words for types of keys: "ed25519", "ecdsa"; NULL behind the last. */
extern const char *const key_types[KEY_TYPES + 1];

/* Errors of all that follow are logged where they happen; -1 is returned. */

/*
 * Read a private key (PEM). A passphrase is asked for at the terminal if asked is set; without it
 * such a key is an error.
 */
int keyring_read(struct keyring *ring, const char *path, int asked);

/* All *.pem of a folder; those that have a passphrase or are no private keys are passed over. */
int keyring_read_folder(struct keyring *ring, const char *path);
void keyring_free(struct keyring *ring);

/* The key with an id, NULL if it is not here. */
const struct keyring_key *keyring_find(const struct keyring *ring, const char *id);

/*
 * Make a key and write it to a file that must not be there yet, mode 0600. Returns the key, which
 * belongs to the ring, or NULL.
 */
const struct keyring_key *keyring_make(struct keyring *ring, enum key_type type, const char *path);

/* The same under folder/ROLE-KEYID.pem, with the first digits of the keyid. */
const struct keyring_key *keyring_make_for(struct keyring *ring, enum key_type type,
					   const char *folder, const char *role);

/* Write the public half beside it (PEM). */
int keyring_write_public(const struct keyring_key *key, const char *path);

/* A public key (PEM) as metadata has it; the caller's. NULL on error. */
json_t *keyring_read_public(const char *path);

/* The signature of bytes, hexadecimal, malloc'ed (the caller frees it). NULL on error. */
char *keyring_sign(const struct keyring_key *key, const void *bytes, size_t len);

#endif
