/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client workflow of The Update Framework (specification 1.0.34, section 5) as a state machine
 * without I/O, clock or globals: it says what it wants next, its caller gets that from wherever it
 * is, and feeds it. So the same code runs in a process with a network, in one that has only what
 * another fetched, and in a fuzzer.
 *
 *	struct tuf *tuf = tuf_new(&options);
 *
 *	while ((want = tuf_next(tuf))->kind < TUF_READY)
 *		... get or store it ..., tuf_feed(tuf, answer, bytes, len);
 *	tuf_find(tuf, "group/web.yaml"), and again the same loop, for each target
 *	tuf_free(tuf);
 *
 * A process without a network answers FETCH from what another fetched, ABSENT for what is not
 *there. Each role is handed back to be kept as soon as it is verified, in the bytes that came. What
 *is loaded from the store is verified like what comes from outside: a store may be handed over, and
 * anything in it but the root may be missing or damaged.
 */
#ifndef TUF_TUF_H
#define TUF_TUF_H

#include <stddef.h>
#include <stdint.h>

#include "tuf/digest.h"
#include "tuf/names.h"
#include "tuf/result.h"

#define TUF_ROOTS_MAX   256u         /* new roots in one run */
#define TUF_VISITED_MAX 32u          /* roles looked through for one target */
#define TUF_FILE_MAX    (1u << 20)   /* bytes of a target */
#define TUF_RUN_MAX     (8ull << 20) /* bytes fetched in one run */

struct tuf;

/*
 * The highest versions accepted so far, to be kept apart from the metadata, so that a store that
 * lost some files opens no way back. timestamp and snapshot hold as long as online_keys are the
 * keys that sign them: rotating those is how a repository recovers from too high a version.
 */
struct tuf_floor {
	uint64_t root, timestamp, snapshot; /* 0: none yet */
	uint8_t online_keys[TUF_SHA256_LEN];
};

struct tuf_options {
	int64_t now_s;          /* seconds since 1970, UTC: the time of the whole run */
	struct tuf_floor floor; /* zeros: none */
	unsigned int lenience;  /* enum tuf_lenience of tuf/metadata.h, or-ed; 0: strict */
};

/* The last three want nothing. */
enum tuf_want_kind {
	TUF_LOAD,       /* the stored file name, ABSENT if there is none */
	TUF_FETCH,      /* url behind the metadata's base URL; ABSENT only if the server says that
			   there is none (404, 403), not when it can't be asked */
	TUF_KEEP,       /* store bytes as name, for good; answer with OK and no bytes */
	TUF_FETCH_FILE, /* url behind the base URL of targets, or any bytes that fit target */
	TUF_KEEP_FILE,  /* bytes are the target's: store them; answer with OK and no bytes */
	TUF_READY,      /* up to date; a target that was asked for has been kept: tuf_find() */
	TUF_NO_TARGET,  /* no role lists the target that was asked for: tuf_find() another one */
	TUF_FAILED,     /* it is over: tuf_why() */
};

/* A target as the role that lists it has it. */
struct tuf_target {
	char path[TUF_PATH_MAX];
	struct tuf_digest digest; /* length, and one or both hashes */
};

/* Pointers live until the next tuf_feed(), tuf_find() or tuf_free(). */
struct tuf_want {
	enum tuf_want_kind kind;
	const char *name; /* LOAD, KEEP: a file's name in one folder, "root.json"; no slash in it */
	const char *url;  /* FETCH, FETCH_FILE: percent-encoded */
	size_t max_bytes; /* LOAD, FETCH, FETCH_FILE: stop reading there, answer TOO_LARGE */
	const void *bytes; /* KEEP, KEEP_FILE */
	size_t len;
	uint64_t version; /* KEEP: of the metadata; a root's history can be kept by it */
	const struct tuf_target *target; /* FETCH_FILE, KEEP_FILE */
};

enum tuf_answer {
	TUF_ANSWER_OK,
	TUF_ANSWER_ABSENT,
	TUF_ANSWER_TOO_LARGE,
	TUF_ANSWER_ERROR, /* could not be fetched or stored: the run is over */
};

/*
 * Once in a process, before it closes itself in: OpenSSL without its configuration file, a seed for
 * jansson's tables. Returns 0 or a negative errno.
 */
int tuf_process_init(void);

/* A run; NULL if there is no memory. About 60 KiB, and what the metadata take. */
struct tuf *tuf_new(const struct tuf_options *options);
void tuf_free(struct tuf *tuf);

/* What is wanted; the same until it is fed. */
const struct tuf_want *tuf_next(const struct tuf *tuf);

/* Answer what is wanted. The bytes stay the caller's. Ignored when nothing is wanted. */
void tuf_feed(struct tuf *tuf, enum tuf_answer answer, const void *bytes, size_t len);

/*
 * Look for a target, when READY or NO_TARGET. Returns 0, -EINVAL if that is no path, -EBUSY in any
 * other state.
 */
int tuf_find(struct tuf *tuf, const char *path);

/* Why it failed, with the file's name in front; result is TUF_OK as long as it has not. */
const struct tuf_why *tuf_why(const struct tuf *tuf);

/* Versions of what is verified so far, 0 of what is not; the earliest expiry of those that count.
 */
struct tuf_versions {
	uint64_t root, timestamp, snapshot, targets;
	int64_t root_expires_s, timestamp_expires_s, snapshot_expires_s, targets_expires_s;
};
void tuf_versions(const struct tuf *tuf, struct tuf_versions *versions);

/* The floor for the next run: never lower than the one that was given, but for new online keys. */
void tuf_floor(const struct tuf *tuf, struct tuf_floor *floor);

#endif
