/* SPDX-License-Identifier: Apache-2.0 */
/* One file of signed metadata: checked in its form, not yet trusted. */
#ifndef TUF_METADATA_H
#define TUF_METADATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tuf/digest.h"
#include "tuf/keys.h"
#include "tuf/names.h"
#include "tuf/result.h"

/* The roles of every repository; a delegated role's metadata is of the kind targets. */
enum tuf_kind { TUF_ROOT, TUF_TIMESTAMP, TUF_SNAPSHOT, TUF_TARGETS, TUF_KINDS };

/* Bytes of a file. */
#define TUF_ROOT_MAX      (64u << 10)
#define TUF_TIMESTAMP_MAX (16u << 10)
#define TUF_SNAPSHOT_MAX  (256u << 10)
#define TUF_TARGETS_MAX   (1u << 20)

#define TUF_SIGNATURES_MAX  64u
#define TUF_LISTED_MAX      1000u /* targets of a role */
#define TUF_DELEGATIONS_MAX 64u   /* roles that a role delegates to */
#define TUF_BIN_BITS_MAX    32    /* of a path's hash, that say which bin it belongs to */
#define TUF_VERSION_MAX     ((INT64_C(1) << 53) - 1)

/*
 * What a repository may do that the specification forbids. Neither weakens what is verified: keys
 * are counted by what they are, not by what they are called.
 */
enum tuf_lenience {
	TUF_STRICT = 0,
	TUF_ANY_KEYID = 1 << 0,   /* a keyid need not be the SHA-256 of its key */
	TUF_ANY_FRACTION = 1 << 1 /* an expiry may have a fraction of a second, which is cut off */
};

struct tuf_metadata {
	enum tuf_kind kind;
	unsigned int lenience; /* enum tuf_lenience, or-ed */
	json_t *whole;
	json_t *body; /* its member "signed" */
	uint64_t version;
	int64_t expires_s;        /* seconds since 1970, UTC */
	char *canonical;          /* of body: what is signed */
	size_t canonical_len;     /* bytes */
	struct tuf_digest digest; /* of the file */
	struct tuf_keys keys;     /* of a root, or of the delegations of targets; else none */
};

/* What snapshot or timestamp list of a file. */
struct tuf_listed {
	uint64_t version;
	struct tuf_digest digest;
};

/* "root", "timestamp", "snapshot", "targets", and the most bytes of such a file. */
const char *tuf_kind_name(enum tuf_kind kind);
size_t tuf_kind_max(enum tuf_kind kind);

/*
 * Read a file and check its form: type, version, expiry, members, limits. The bytes stay the
 * caller's. Whatever is returned, tuf_metadata_free() frees what was made.
 */
enum tuf_result tuf_metadata_read(struct tuf_metadata *metadata, enum tuf_kind kind,
				  unsigned int lenience, const void *bytes, size_t len,
				  struct tuf_why *why);
void tuf_metadata_free(struct tuf_metadata *metadata);

/*
 * Whether as many distinct keys of a role have signed as its threshold asks. role has the members
 * keyids and threshold, as a root or a delegation has them; keys are those of the same file.
 */
enum tuf_result tuf_metadata_verify(const struct tuf_metadata *metadata,
				    const struct tuf_keys *keys, const json_t *role,
				    struct tuf_why *why);

/*
 * Whether a root is signed by its own keys, and by those of old, too, whose version it follows;
 * with old NULL any.
 */
enum tuf_result tuf_root_verify(const struct tuf_metadata *root, const struct tuf_metadata *old,
				struct tuf_why *why);

/* Read and verify one. tuf_metadata_free() frees it, whatever is returned. */
enum tuf_result tuf_root_read(struct tuf_metadata *root, const struct tuf_metadata *old,
			      unsigned int lenience, const void *bytes, size_t len,
			      struct tuf_why *why);

/* What a root says of a role (NULL of none), and whether files carry their version or hash. */
const json_t *tuf_root_role(const struct tuf_metadata *root, const char *name);
bool tuf_root_consistent(const struct tuf_metadata *root);

/* What a timestamp or snapshot lists under a name like "targets.json". Returns 0 or -1. */
int tuf_metadata_listed(const struct tuf_metadata *metadata, const char *name,
			struct tuf_listed *listed);

/* What targets list under a path, NULL if they don't. */
const json_t *tuf_targets_listed(const struct tuf_metadata *targets, const char *path);

/* The delegation at an index, NULL behind the last. */
const json_t *tuf_targets_delegation(const struct tuf_metadata *targets, size_t index);

/*
 * Hash bins (succinct_roles): the delegation that all bins share, and the name of the one that a
 * path belongs to. NULL if targets delegate to none.
 */
const json_t *tuf_targets_bin(const struct tuf_metadata *targets, const char *path,
			      char name[TUF_NAME_MAX]);

/* Whether a delegation is meant for a target path. */
bool tuf_delegation_matches(const json_t *delegation, const char *path);

/*
 * Shell patterns: * and ? and [abc], [a-z], [!a], none of which matches a slash. Takes time in
 * proportion to the product of both lengths at most.
 */
bool tuf_pattern_matches(const char *pattern, const char *path);

/*
 * "YYYY-MM-DDThh:mm:ssZ", exactly so; with any_fraction a point and 1 to 9 digits may stand before
 * the Z, and are cut off. Returns 0 or -1.
 */
int tuf_time_read(const char *text, bool any_fraction, int64_t *time_s);

#endif
