/* SPDX-License-Identifier: Apache-2.0 */
/* What a local agent would have to answer: a repository with real signatures, and its messages. */
#ifndef TESTS_TUF_AGENT_H
#define TESTS_TUF_AGENT_H

#include <jansson.h>
#include <stdint.h>

#include "tests/tuf/sign.h"

#define AGENT_KEYS   4u
#define AGENT_FUTURE "2099-01-01T00:00:00.123456789Z"
#define AGENT_PAST   "2001-01-01T00:00:00Z"
#define AGENT_NOW_S  INT64_C(1790000000) /* 2026 */

/* Sets of keys are bits; what there is to be answered is JSON that a test may change. */
struct agent {
	struct sign_key keys[AGENT_KEYS];
	json_t *roots;   /* of the answer: texts in base64 */
	json_t *targets; /* the body */
	json_t *files;   /* raw texts by path */
	json_t *configs; /* paths */
};

void agent_init(struct agent *agent);
void agent_fini(struct agent *agent);

/* A body: who signs the next root, who signs targets, and how many of these must. The caller's. */
json_t *agent_root(const struct agent *agent, int64_t version, unsigned int root_keys,
		   unsigned int targets_keys, int threshold);

/* A file: its body, which is taken over, signed. malloc'ed text, the caller's. */
char *agent_sign(const struct agent *agent, json_t *body, unsigned int keys);

/* Answer with one more root, whose body is taken over. */
void agent_add_root(struct agent *agent, json_t *body, unsigned int keys);

/* List a file in targets, with its SHA-256. The entry is lent: a test may change it. */
json_t *agent_list(struct agent *agent, const char *path, const char *text, int64_t version);

/* The same, and answer with it and its name. */
void agent_add(struct agent *agent, const char *path, const char *text, int64_t version);

void agent_set_version(struct agent *agent, int64_t version);

/* The answer, with targets signed by keys. malloc'ed text, the caller's. */
char *agent_answer(const struct agent *agent, unsigned int keys);

#endif
