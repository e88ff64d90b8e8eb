/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "tuf/keys.h"

/* Signers differ in the length of the salt; the scheme leaves it open. */
static bool set_pss(EVP_PKEY_CTX *options)
{
	return EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_AUTO) > 0;
}

bool tuf_key_verify(const struct tuf_key *key, const void *bytes, size_t len, const uint8_t *sig,
		    size_t sig_len)
{
	const EVP_MD *hash = key->scheme == TUF_ED25519 ? NULL : EVP_sha256();
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options = NULL;
	bool good;

	good = context && EVP_DigestVerifyInit(context, &options, hash, NULL, key->key) == 1 &&
	       (key->scheme != TUF_RSA_PSS || set_pss(options)) &&
	       EVP_DigestVerify(context, sig, sig_len, bytes, len) == 1;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return good;
}
