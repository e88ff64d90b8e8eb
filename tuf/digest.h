/* SPDX-License-Identifier: Apache-2.0 */
/* Length and hashes of a file, and what metadata says they are. */
#ifndef TUF_DIGEST_H
#define TUF_DIGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tuf/result.h"

#define TUF_SHA256_LEN 32u
#define TUF_SHA512_LEN 64u
#define TUF_HEX_MAX    (2u * TUF_SHA512_LEN + 1u)

/* Of bytes that are at hand: all members. Of metadata: those with has_ set. */
struct tuf_digest {
	bool has_length, has_sha256, has_sha512;
	uint64_t length; /* bytes */
	uint8_t sha256[TUF_SHA256_LEN];
	uint8_t sha512[TUF_SHA512_LEN];
};

/* Of bytes. Returns 0, or -ENOMEM. */
int tuf_digest_of(const void *bytes, size_t len, struct tuf_digest *digest);

/*
 * Read the members "length" and "hashes". Algorithms that are not known are passed over; if there
 * are hashes one of them must be known, and if required there must be both members.
 */
enum tuf_result tuf_digest_read(const json_t *object, bool required, struct tuf_digest *digest,
				struct tuf_why *why);

/* Whether bytes with the digest are (all of them) what metadata lists. */
bool tuf_digest_fits(const struct tuf_digest *bytes, const struct tuf_digest *listed);

/* Lower-case hexadecimal; out has 2 * len + 1 bytes. */
void tuf_hex_write(const uint8_t *bytes, size_t len, char *out);

/* Exactly len bytes of hexadecimal, either case. Returns 0 or -1. */
int tuf_hex_read(const char *hex, uint8_t *bytes, size_t len);

#endif
