/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the state machine: what tuf.c, refresh.c and search.c share. */
#ifndef TUF_STATE_H
#define TUF_STATE_H

#include <stdbool.h>

#include "tuf/metadata.h"
#include "tuf/tuf.h"

/* Each step but the last three wants something, and has a handler for the answer. */
enum step {
	STEP_LOCAL_ROOT,
	STEP_REMOTE_ROOT,
	STEP_LOCAL_TIMESTAMP,
	STEP_LOCAL_SNAPSHOT,
	STEP_REMOTE_TIMESTAMP,
	STEP_REMOTE_SNAPSHOT,
	STEP_LOCAL_TARGETS,
	STEP_REMOTE_TARGETS,
	STEP_LOCAL_ROLE,
	STEP_REMOTE_ROLE,
	STEP_FILE,
	STEP_KEEP,
	STEP_KEEP_FILE,
	STEP_READY,
	STEP_NO_TARGET,
	STEP_FAILED,
};

/* A role to look through, and who delegates to it. */
struct visit {
	const char *role;         /* belongs to the delegator's metadata */
	const json_t *delegation; /* likewise; NULL: the top-level targets */
	const struct tuf_keys *keys;
};

#define VISITS_MAX (TUF_VISITED_MAX * TUF_DELEGATIONS_MAX)

struct search {
	struct tuf_target target;
	struct visit at; /* the role under way */
	struct tuf_listed listed;
	uint32_t visited_count, next_count;
	const char *names[TUF_VISITED_MAX];            /* roles visited */
	char bins[TUF_VISITED_MAX][TUF_NAME_MAX];      /* names of bins that these delegate to */
	struct tuf_metadata *visited[TUF_VISITED_MAX]; /* NULL: the top-level targets */
	struct visit next[VISITS_MAX];                 /* a stack: the last one is the next */
};

struct tuf {
	struct tuf_options options;
	enum step step, after; /* after: where KEEP goes on */
	struct tuf_want want;
	char name[TUF_NAME_MAX];
	char url[TUF_URL_MAX];
	void *kept; /* bytes of KEEP and KEEP_FILE */
	uint64_t bytes_left;
	uint32_t roots;
	bool rekeyed;  /* a stored timestamp or snapshot no longer verifies */
	bool answered; /* the server's timestamp is in force */
	struct tuf_metadata roles[TUF_KINDS]; /* whole is NULL: not there */
	struct search search;
	struct tuf_why why;
};

/* What came as an answer. */
struct fed {
	enum tuf_answer answer;
	const void *bytes;
	size_t len;
};

/* Go on with a step: what it wants. */
void state_load(struct tuf *tuf, enum step step, const char *role, size_t max_bytes);
void state_fetch(struct tuf *tuf, enum step step, const char *role, uint64_t version,
		 size_t max_bytes);
void state_fetch_file(struct tuf *tuf);
void state_keep(struct tuf *tuf, const char *role, uint64_t version, const struct fed *fed,
		enum step after);
void state_keep_file(struct tuf *tuf, const struct fed *fed);
void state_rest(struct tuf *tuf, enum step step);

/* It is over. why->text gets the name of what was wanted in front. */
void state_fail(struct tuf *tuf, const struct tuf_why *why);

/* Whether an answer to FETCH has bytes; if not it is over. */
bool state_has_bytes(struct tuf *tuf, const struct fed *fed);

/* Read, as leniently as the root was, and check the signatures by it. */
enum tuf_result state_read_by_root(const struct tuf_metadata *root, struct tuf_metadata *metadata,
				   enum tuf_kind kind, const struct fed *fed, struct tuf_why *why);

/* Replace a role's metadata; they are the state machine's from here. */
void state_accept(struct tuf *tuf, struct tuf_metadata *metadata);

/* A version of the floor if it counts under the keys in force, else 0. */
uint64_t state_floor(const struct tuf *tuf, uint64_t version);
uint64_t state_highest(uint64_t a, uint64_t b);

bool state_has(const struct tuf *tuf, enum tuf_kind kind);

/* Whether metadata may still be used in this run. */
enum tuf_result state_check_expiry(const struct tuf *tuf, const struct tuf_metadata *metadata,
				   struct tuf_why *why);

/* Whether metadata, read from bytes, is what is listed of it. */
enum tuf_result state_check_listed(const struct tuf_metadata *metadata,
				   const struct tuf_listed *listed, struct tuf_why *why);

/* The bytes of a fetched file against what is listed, before they are read. */
enum tuf_result state_check_bytes(const struct fed *fed, const struct tuf_listed *listed,
				  struct tuf_why *why);

/* The version in the file names of this repository, 0 if they have none. */
uint64_t state_file_version(const struct tuf *tuf, uint64_t version);

/* Handlers of refresh.c and search.c, by their steps. */
void refresh_on_local_root(struct tuf *tuf, const struct fed *fed);
void refresh_on_remote_root(struct tuf *tuf, const struct fed *fed);
void refresh_on_local_timestamp(struct tuf *tuf, const struct fed *fed);
void refresh_on_local_snapshot(struct tuf *tuf, const struct fed *fed);
void refresh_on_remote_timestamp(struct tuf *tuf, const struct fed *fed);
void refresh_on_remote_snapshot(struct tuf *tuf, const struct fed *fed);
void refresh_on_local_targets(struct tuf *tuf, const struct fed *fed);
void refresh_on_remote_targets(struct tuf *tuf, const struct fed *fed);
void search_on_local_role(struct tuf *tuf, const struct fed *fed);
void search_on_remote_role(struct tuf *tuf, const struct fed *fed);
void search_on_file(struct tuf *tuf, const struct fed *fed);

/* Where a step goes on that keeps something first. */
void refresh_next_root(struct tuf *tuf);
void refresh_next_snapshot(struct tuf *tuf);
void refresh_next_targets(struct tuf *tuf);

/* Begin at the top-level targets, or go on behind the role that was kept. */
void search_begin(struct tuf *tuf);
void search_on_role_kept(struct tuf *tuf);
void search_end(struct tuf *tuf);

#endif
