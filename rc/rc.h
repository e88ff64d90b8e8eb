/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of the remote-configuration protocol that tracers speak to an agent on their
 * host: POST of JSON to /v0.7/config. No I/O, no clock, no randomness of its own, so that the same
 * code runs where the network is, where what came is verified again, and in a fuzzer.
 *
 *	rc = rc_new(&options, root, root_len, &why)
 *	... body = rc_request(rc), POST it, rc_feed(rc, &answer, &why), for ever
 *	rc_free(rc)
 *
 * Roots and targets are verified like those of a repository (tuf/), by the same code. An answer is
 * taken as a whole or not at all; what was wrong with it is said in the next request. Beyond what
 * the protocol asks for, versions never go back, not even over a restart (rc_floor()), and what is
 * in force can be stored and taken up again (rc_apply() without a clock).
 *
 * Which of the signed files a client gets is what the agent says: client_configs is not signed. So
 * an agent that was taken over can withhold files, or give out those of other clients, of products
 * that were asked for; it cannot change them.
 */
#ifndef RC_RC_H
#define RC_RC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rc/path.h"
#include "tuf/digest.h"
#include "tuf/result.h"
#include "tuf/tuf.h"

#define RC_URL_PATH "/v0.7/config"

/* What conntrace's own configuration is called among an agent's products. */
#define RC_PRODUCT "CONNTRACE"

#define RC_PRODUCTS_MAX 8u
#define RC_FILES_MAX    32u         /* in force */
#define RC_BYTES_MAX    (1u << 20)  /* of the files in force, all together */
#define RC_LISTED_MAX   1024u       /* elements of a list in an answer */
#define RC_ANSWER_MAX   TUF_RUN_MAX /* bytes of an answer */
#define RC_ERROR_MAX    256u        /* bytes of a text in a request, NUL included */

/* Where there is no clock: nothing is expired. For what was verified before. */
#define RC_NO_CLOCK INT64_MIN

/* Drawn once in the life of a process: 21 characters of 64, and a UUID of version 4. */
#define RC_RANDOM_LEN 37u
struct rc_ids {
	char client[22];
	char runtime[37];
};
void rc_ids_make(const uint8_t random[RC_RANDOM_LEN], struct rc_ids *ids);

/*
 * The highest versions accepted so far, to be kept apart from the files. targets counts as long as
 * targets_keys are those that sign them: replacing them is how too high a version is recovered
 * from.
 */
struct rc_floor {
	uint64_t root, targets; /* 0: none yet */
	char targets_keys[2 * TUF_SHA256_LEN + 1];
};

/* Texts must live as long as the rc. */
struct rc_options {
	struct rc_ids ids;
	const char *products[RC_PRODUCTS_MAX];
	uint32_t product_count;
	const uint8_t *capabilities; /* bits that the products define */
	size_t capabilities_len;     /* bytes */
	const char *language, *tracer_version, *service, *env, *app_version;
	struct rc_floor floor; /* zeros: none */
};

struct rc;

/*
 * root: of the file that is trusted; its own keys must have signed it, its expiry doesn't matter.
 * Bytes stay the caller's. Returns NULL with why.
 */
struct rc *rc_new(const struct rc_options *options, const void *root, size_t root_len,
		  struct tuf_why *why);
void rc_free(struct rc *rc);

/* The body of the next request, malloc'ed (the caller frees it). NULL if there is no memory. */
char *rc_request(const struct rc *rc);

enum rc_outcome {
	RC_NOTHING,       /* 204, {}: all is as it was */
	RC_ACCEPTED,      /* what there is is in force; rc_changed() says whether files changed */
	RC_REFUSED,       /* all is as it was; why, which is told in the next request */
	RC_UNREACHABLE,   /* not an answer of this protocol: try again */
	RC_UNIMPLEMENTED, /* the agent doesn't speak it: trying again makes no sense */
};

struct rc_answer {
	unsigned int status; /* of HTTP */
	const void *bytes;   /* the body */
	size_t len;
	int64_t now_s; /* seconds since 1970, UTC */
};

/* Take an answer, which stays the caller's. With NOTHING and ACCEPTED why means nothing. */
enum rc_outcome rc_feed(struct rc *rc, const struct rc_answer *answer, struct tuf_why *why);

struct rc_blob {
	const char *path; /* NULL: it has none */
	const void *bytes;
	size_t len;
};

/* What an answer holds, or a store. */
struct rc_update {
	const struct rc_blob
		*roots; /* those that are not newer than what is known are passed over */
	size_t root_count;
	struct rc_blob targets;
	const struct rc_blob *files; /* may lack those that are in force and have not changed */
	size_t file_count;
	const char *const *configs; /* the complete list of what shall be in force */
	size_t config_count;
};

/* Verify it and put it in force, as a whole or not at all; bytes stay the caller's. */
enum tuf_result rc_apply(struct rc *rc, const struct rc_update *update, int64_t now_s,
			 struct tuf_why *why);

/* Bit n: of the product at index n files came, changed or went with what was accepted last. */
uint32_t rc_changed(const struct rc *rc);

/* How the protocol says what became of a file. */
enum rc_state { RC_UNKNOWN, RC_UNACKNOWLEDGED, RC_ACKNOWLEDGED, RC_ERROR };

struct rc_file {
	char path[TUF_PATH_MAX];
	struct rc_path parts;
	uint64_t version;         /* its custom.v */
	struct tuf_digest listed; /* of it in targets: length, and one or both hashes */
	enum rc_state state;
	char error[RC_ERROR_MAX];
	char *bytes; /* malloc'ed */
	size_t len;
};

/* The files in force, by path; index is below RC_FILES_MAX. NULL behind the last. */
const struct rc_file *rc_file(const struct rc *rc, size_t index);

/* Note for the next request what became of a product's files; error is escaped if need be. */
void rc_note(struct rc *rc, const char *product, enum rc_state state, const char *error);

/*
 * Exact bytes of what is in force, to be stored; they live until something is accepted, those of
 * roots until rc_free(). Roots by version: at index 0 that of rc_new(), behind the last one bytes
 * is NULL.
 */
struct rc_blob rc_root(const struct rc *rc, size_t index);
struct rc_blob rc_targets(const struct rc *rc); /* bytes is NULL: none yet */

struct rc_versions {
	uint64_t root, targets; /* targets 0: none yet */
	int64_t root_expires_s, targets_expires_s;
};
void rc_versions(const struct rc *rc, struct rc_versions *versions);

/* The floor for the next rc_new(). */
void rc_floor(const struct rc *rc, struct rc_floor *floor);

#endif
