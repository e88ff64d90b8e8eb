/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "tuf/json.h"

int tuf_digest_of(const void *bytes, size_t len, struct tuf_digest *digest)
{
	*digest = (struct tuf_digest){
		.has_length = true, .has_sha256 = true, .has_sha512 = true, .length = len};
	if (EVP_Digest(bytes, len, digest->sha256, NULL, EVP_sha256(), NULL) != 1 ||
	    EVP_Digest(bytes, len, digest->sha512, NULL, EVP_sha512(), NULL) != 1)
		return -ENOMEM;
	return 0;
}

static enum tuf_result read_hash(const json_t *hashes, const char *algorithm, uint8_t *hash,
				 size_t len, bool *has, struct tuf_why *why)
{
	const char *hex = tuf_json_text(hashes, algorithm);

	*has = json_object_get(hashes, algorithm) != NULL;
	if (*has && (!hex || tuf_hex_read(hex, hash, len) < 0))
		return tuf_refuse(why, TUF_MALFORMED, "hashes.%s: not %zu hexadecimal digits",
				  algorithm, 2 * len);
	return TUF_OK;
}

static enum tuf_result read_hashes(const json_t *hashes, struct tuf_digest *digest,
				   struct tuf_why *why)
{
	enum tuf_result result;

	if (!json_is_object(hashes))
		return tuf_refuse(why, TUF_MALFORMED, "hashes: not an object");
	result = read_hash(hashes, "sha256", digest->sha256, TUF_SHA256_LEN, &digest->has_sha256,
			   why);
	if (result == TUF_OK)
		result = read_hash(hashes, "sha512", digest->sha512, TUF_SHA512_LEN,
				   &digest->has_sha512, why);
	if (result == TUF_OK && !digest->has_sha256 && !digest->has_sha512)
		result = tuf_refuse(why, TUF_UNTRUSTED,
				    "hashes: neither sha256 nor sha512: nothing to check it by");
	return result;
}

enum tuf_result tuf_digest_read(const json_t *object, bool required, struct tuf_digest *digest,
				struct tuf_why *why)
{
	const json_t *hashes = json_object_get(object, "hashes");
	int64_t length = 0;

	*digest = (struct tuf_digest){.has_length = json_object_get(object, "length") != NULL};
	if ((required || digest->has_length) &&
	    tuf_json_integer(object, "length", 0, INT64_MAX, &length) < 0)
		return tuf_refuse(why, TUF_MALFORMED, "length: not a number of bytes");
	digest->length = (uint64_t)length;
	return required || hashes ? read_hashes(hashes, digest, why) : TUF_OK;
}

bool tuf_digest_fits(const struct tuf_digest *bytes, const struct tuf_digest *listed)
{
	return (!listed->has_length || listed->length == bytes->length) &&
	       (!listed->has_sha256 ||
		memcmp(listed->sha256, bytes->sha256, TUF_SHA256_LEN) == 0) &&
	       (!listed->has_sha512 || memcmp(listed->sha512, bytes->sha512, TUF_SHA512_LEN) == 0);
}

void tuf_hex_write(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int tuf_hex_read(const char *hex, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++, hex += 2) {
		int high = digit(hex[0]);
		int low = high < 0 ? -1 : digit(hex[1]);

		if (low < 0)
			return -1;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return *hex ? -1 : 0;
}
