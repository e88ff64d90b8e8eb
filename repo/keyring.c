/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "tuf/keys.h"

#define PEM_MAX (16u << 10) /* bytes */

const char *const key_types[KEY_TYPES + 1] = {"ed25519", "ecdsa", NULL};

/* --- public keys as metadata has them ------------------------------------------------------------
 */

static json_t *pack_ed25519(const EVP_PKEY *key)
{
	uint8_t raw[32];
	size_t len = sizeof(raw);
	char hex[2 * sizeof(raw) + 1];

	if (EVP_PKEY_get_raw_public_key(key, raw, &len) != 1 || len != sizeof(raw))
		return NULL;
	tuf_hex_write(raw, sizeof(raw), hex);
	return json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ed25519", "scheme", "ed25519", "keyval",
			 "public", hex);
}

static json_t *pack_p256(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	json_t *packed = NULL;
	char *text;
	long len;

	if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
		len = BIO_get_mem_data(bio, &text);
		packed = json_pack("{s:s, s:s, s:{s:s%}}", "keytype", "ecdsa", "scheme",
				   "ecdsa-sha2-nistp256", "keyval", "public", text, (size_t)len);
	}
	BIO_free(bio);
	return packed;
}

/* NULL: neither of the two types. */
static json_t *pack_public(EVP_PKEY *key)
{
	if (EVP_PKEY_is_a(key, "ED25519"))
		return pack_ed25519(key);
	return tuf_key_is_p256(key) ? pack_p256(key) : NULL;
}

json_t *keyring_read_public(const char *path)
{
	EVP_PKEY *key;
	json_t *packed;
	BIO *bio;
	char *text;
	size_t len;
	int err = wholefile_read(AT_FDCWD, path, PEM_MAX, &text, &len);

	if (err) {
		log_error("%s: can't be read: %s", path, strerror(-err));
		return NULL;
	}
	bio = BIO_new_mem_buf(text, (int)len);
	key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	packed = key ? pack_public(key) : NULL;
	if (!packed)
		log_error("%s: not a public key (PEM) of ed25519 or P-256", path);
	EVP_PKEY_free(key);
	BIO_free(bio);
	free(text);
	ERR_clear_error();
	return packed;
}

/* --- the ring ------------------------------------------------------------------------------------
 */

/* Takes the private key over, also on error. */
static const struct keyring_key *add_key(struct keyring *ring, EVP_PKEY *private, const char *path)
{
	struct keyring_key *key = &ring->list[ring->count];

	if (ring->count == KEYRING_MAX) {
		log_error("%s: more than %u keys: move those that no longer sign elsewhere", path,
			  KEYRING_MAX);
		EVP_PKEY_free(private);
		return NULL;
	}
	*key = (struct keyring_key){.public = pack_public(private), .private = private};
	if (!key->public || tuf_key_id(key->public, key->id) < 0) {
		log_error("%s: a key of neither ed25519 nor P-256", path);
		json_decref(key->public);
		EVP_PKEY_free(private);
		return NULL;
	}
	ring->count++;
	return key;
}

static int no_passphrase(char *text, int cap, int writing, void *context)
{
	(void)text;
	(void)cap;
	(void)writing;
	(void)context;
	return -1;
}

static EVP_PKEY *read_private(const char *path, int asked)
{
	EVP_PKEY *key;
	BIO *bio;
	char *text;
	size_t len;

	if (wholefile_read(AT_FDCWD, path, PEM_MAX, &text, &len) < 0)
		return NULL;
	bio = BIO_new_mem_buf(text, (int)len);
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, asked ? NULL : no_passphrase, NULL) : NULL;
	BIO_free(bio);
	OPENSSL_cleanse(text, len);
	free(text);
	ERR_clear_error();
	return key;
}

int keyring_read(struct keyring *ring, const char *path, int asked)
{
	EVP_PKEY *key = read_private(path, asked);

	if (!key) {
		log_error("%s: not a private key (PEM) that can be read", path);
		return -1;
	}
	return add_key(ring, key, path) ? 0 : -1;
}

static bool is_pem(const char *name)
{
	size_t len = strlen(name);

	return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".pem") == 0;
}

int keyring_read_folder(struct keyring *ring, const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int err = 0;

	if (!dir) {
		log_error("%s: can't be listed: %s", path, strerror(errno));
		return -1;
	}
	while (!err && (entry = readdir(dir))) {
		char file[PATH_MAX];
		EVP_PKEY *key;

		if (!is_pem(entry->d_name) ||
		    snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= (int)sizeof(file))
			continue;
		key = read_private(file, 0);
		err = key && !add_key(ring, key, file) ? -1 : 0;
	}
	closedir(dir);
	return err;
}

void keyring_free(struct keyring *ring)
{
	for (size_t i = 0; i < ring->count; i++) {
		json_decref(ring->list[i].public);
		EVP_PKEY_free(ring->list[i].private);
	}
	ring->count = 0;
}

const struct keyring_key *keyring_find(const struct keyring *ring, const char *id)
{
	for (size_t i = 0; i < ring->count; i++)
		if (strcmp(ring->list[i].id, id) == 0)
			return &ring->list[i];
	return NULL;
}

/* --- making and signing --------------------------------------------------------------------------
 */

static EVP_PKEY *make_key(enum key_type type)
{
	return type == KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
				   : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

/* Never over a file that is there: it may be the only copy of a key. */
static FILE *create(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (!file) {
		log_error("%s: can't be made: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return file;
}

static int finish(FILE *file, int written, const char *path)
{
	bool good = written == 1 && fflush(file) == 0 && fsync(fileno(file)) == 0;

	if (fclose(file) == 0 && good)
		return 0;
	log_error("%s: can't be written", path);
	(void)unlink(path);
	return -1;
}

static int write_private(const struct keyring_key *key, const char *path)
{
	FILE *file = create(path, 0600);

	return file ? finish(file,
			     PEM_write_PKCS8PrivateKey(file, key->private, NULL, NULL, 0, NULL,
						       NULL),
			     path)
		    : -1;
}

int keyring_write_public(const struct keyring_key *key, const char *path)
{
	FILE *file = create(path, 0644);

	return file ? finish(file, PEM_write_PUBKEY(file, key->private), path) : -1;
}

const struct keyring_key *keyring_make(struct keyring *ring, enum key_type type, const char *path)
{
	EVP_PKEY *private = make_key(type);
	const struct keyring_key *key = private ? add_key(ring, private, path) : NULL;

	if (!private)
		log_error("%s: OpenSSL can't make such a key", path);
	return key && write_private(key, path) == 0 ? key : NULL;
}

const struct keyring_key *keyring_make_for(struct keyring *ring, enum key_type type,
					   const char *folder, const char *role)
{
	EVP_PKEY *private = make_key(type);
	const struct keyring_key *key = private ? add_key(ring, private, role) : NULL;
	char path[PATH_MAX];

	if (!private)
		log_error("%s: OpenSSL can't make such a key", role);
	if (!key)
		return NULL;
	if (snprintf(path, sizeof(path), "%s/%s-%.12s.pem", folder, role, key->id) >=
	    (int)sizeof(path)) {
		log_error("%s: path too long", folder);
		return NULL;
	}
	return write_private(key, path) == 0 ? key : NULL;
}

char *keyring_sign(const struct keyring_key *key, const void *bytes, size_t len)
{
	const EVP_MD *hash = EVP_PKEY_is_a(key->private, "ED25519") ? NULL : EVP_sha256();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t sig[TUF_SIGNATURE_MAX];
	size_t sig_len = sizeof(sig);
	char *hex = NULL;

	if (context && EVP_DigestSignInit(context, NULL, hash, NULL, key->private) == 1 &&
	    EVP_DigestSign(context, sig, &sig_len, bytes, len) == 1)
		hex = malloc(2 * sig_len + 1);
	if (hex)
		tuf_hex_write(sig, sig_len, hex);
	else
		log_error("key %s: can't sign", key->id);
	EVP_MD_CTX_free(context);
	return hex;
}
