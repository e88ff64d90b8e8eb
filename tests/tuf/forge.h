/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata for tests that link tests/tuf/stub.c in place of tuf/verify.c: with it a signature is
 * good if its first byte is GOOD.
 */
#ifndef TESTS_TUF_FORGE_H
#define TESTS_TUF_FORGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tuf/digest.h"
#include "tuf/metadata.h"

#define FORGE_GOOD   0xaau
#define FORGE_FUTURE "2099-01-01T00:00:00Z"
#define FORGE_PAST   "2001-01-01T00:00:00Z"
#define FORGE_NOW_S  INT64_C(1790000000) /* 2026 */

/* Signatures that the stub called good since it was last set to 0. */
extern unsigned int stub_good;

/* One of 256 keys, as metadata has it; the caller's. id gets its keyid. */
json_t *forge_key(uint8_t number, char id[2 * TUF_SHA256_LEN + 1]);

/* {"keyids": [...], "threshold": 1} of one key. */
json_t *forge_role(uint8_t key);

/* Bodies; the caller's. root: the key of root is 0, of the others as told. */
json_t *forge_root(int64_t version, uint8_t online_key, bool consistent);
json_t *forge_timestamp(int64_t version, int64_t snapshot);
json_t *forge_snapshot(int64_t version, int64_t targets);
json_t *forge_targets(int64_t version);

/* Add a target with the length and hash of bytes. */
void forge_add(json_t *targets, const char *path, const char *bytes);

/* Delegate everything to a role that is signed by a key. */
void forge_delegate(json_t *targets, const char *name, const char *pattern, uint8_t key);

/*
 * The file: body, which is taken over, with a signature by each of two keys, good or not. malloc'ed
 * text, the caller's.
 */
char *forge_sign(json_t *body, uint8_t key, uint8_t other, bool good);

#endif
