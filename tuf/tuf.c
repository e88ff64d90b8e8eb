/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/tuf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tuf/json.h"
#include "tuf/state.h"

static void on_kept(struct tuf *tuf, const struct fed *fed);

/* What a step does with an answer, and what the step that kept something goes on with. */
static const struct {
	void (*on_answer)(struct tuf *tuf, const struct fed *fed);
	void (*begin)(struct tuf *tuf);
} steps[] = {
	[STEP_LOCAL_ROOT] = {refresh_on_local_root, NULL},
	[STEP_REMOTE_ROOT] = {refresh_on_remote_root, refresh_next_root},
	[STEP_LOCAL_TIMESTAMP] = {refresh_on_local_timestamp, NULL},
	[STEP_LOCAL_SNAPSHOT] = {refresh_on_local_snapshot, NULL},
	[STEP_REMOTE_TIMESTAMP] = {refresh_on_remote_timestamp, NULL},
	[STEP_REMOTE_SNAPSHOT] = {refresh_on_remote_snapshot, refresh_next_snapshot},
	[STEP_LOCAL_TARGETS] = {refresh_on_local_targets, refresh_next_targets},
	[STEP_REMOTE_TARGETS] = {refresh_on_remote_targets, NULL},
	[STEP_LOCAL_ROLE] = {search_on_local_role, NULL},
	[STEP_REMOTE_ROLE] = {search_on_remote_role, search_on_role_kept},
	[STEP_FILE] = {search_on_file, NULL},
	[STEP_KEEP] = {on_kept, NULL},
	[STEP_KEEP_FILE] = {on_kept, NULL},
	[STEP_READY] = {NULL, NULL},
	[STEP_NO_TARGET] = {NULL, NULL},
	[STEP_FAILED] = {NULL, NULL},
};

int tuf_process_init(void)
{
	size_t seed = 0;

	tuf_json_init();
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -errno;
	json_object_seed(seed | 1); /* 0 would have jansson look for a seed in files */
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 ? 0 : -ENOMEM;
}

struct tuf *tuf_new(const struct tuf_options *options)
{
	struct tuf *tuf = calloc(1, sizeof(*tuf));

	if (!tuf)
		return NULL;
	tuf->options = *options;
	tuf->bytes_left = TUF_RUN_MAX;
	state_load(tuf, STEP_LOCAL_ROOT, "root", TUF_ROOT_MAX);
	return tuf;
}

void tuf_free(struct tuf *tuf)
{
	if (!tuf)
		return;
	search_end(tuf);
	for (enum tuf_kind kind = TUF_ROOT; kind < TUF_KINDS; kind++)
		tuf_metadata_free(&tuf->roles[kind]);
	free(tuf->kept);
	free(tuf);
}

const struct tuf_want *tuf_next(const struct tuf *tuf)
{
	return &tuf->want;
}

const struct tuf_why *tuf_why(const struct tuf *tuf)
{
	return &tuf->why;
}

void tuf_feed(struct tuf *tuf, enum tuf_answer answer, const void *bytes, size_t len)
{
	const struct fed fed = {answer, bytes, answer == TUF_ANSWER_OK ? len : 0};

	if (steps[tuf->step].on_answer)
		steps[tuf->step].on_answer(tuf, &fed);
}

int tuf_find(struct tuf *tuf, const char *path)
{
	if (tuf->step != STEP_READY && tuf->step != STEP_NO_TARGET)
		return -EBUSY;
	if (tuf_path_check(path) < 0)
		return -EINVAL;
	memset(&tuf->search, 0, sizeof(tuf->search));
	snprintf(tuf->search.target.path, sizeof(tuf->search.target.path), "%s", path);
	search_begin(tuf);
	return 0;
}

void tuf_versions(const struct tuf *tuf, struct tuf_versions *versions)
{
	const struct tuf_metadata *roles = tuf->roles;

	*versions = (struct tuf_versions){
		.root = roles[TUF_ROOT].version,
		.timestamp = roles[TUF_TIMESTAMP].version,
		.snapshot = roles[TUF_SNAPSHOT].version,
		.targets = roles[TUF_TARGETS].version,
		.root_expires_s = roles[TUF_ROOT].expires_s,
		.timestamp_expires_s = roles[TUF_TIMESTAMP].expires_s,
		.snapshot_expires_s = roles[TUF_SNAPSHOT].expires_s,
		.targets_expires_s = roles[TUF_TARGETS].expires_s,
	};
}

/* --- what the steps go on with ------------------------------------------------------------------
 */

static void forget_kept(struct tuf *tuf)
{
	free(tuf->kept);
	tuf->kept = NULL;
}

static void no_memory(struct tuf *tuf)
{
	struct tuf_why why;

	tuf_refuse(&why, TUF_NO_MEMORY, "out of memory");
	state_fail(tuf, &why);
}

static void want(struct tuf *tuf, enum step step, enum tuf_want_kind kind, size_t max_bytes)
{
	tuf->step = step;
	tuf->want = (struct tuf_want){
		.kind = kind, .name = tuf->name, .url = tuf->url, .max_bytes = max_bytes};
}

/* Names of roles were checked for their length when they were read. */
void state_load(struct tuf *tuf, enum step step, const char *role, size_t max_bytes)
{
	tuf->url[0] = '\0';
	(void)tuf_name_of_role(role, tuf->name);
	want(tuf, step, TUF_LOAD, max_bytes);
}

void state_fetch(struct tuf *tuf, enum step step, const char *role, uint64_t version,
		 size_t max_bytes)
{
	(void)tuf_name_of_role(role, tuf->name);
	(void)tuf_url_of_role(role, version, tuf->url);
	want(tuf, step, TUF_FETCH, max_bytes);
}

/* Which of the hashes a hashed name carries is left open: publishers take sha256 if it is listed.
 */
static const char *file_hash(const struct tuf_digest *digest, char hex[TUF_HEX_MAX])
{
	if (digest->has_sha256)
		tuf_hex_write(digest->sha256, TUF_SHA256_LEN, hex);
	else
		tuf_hex_write(digest->sha512, TUF_SHA512_LEN, hex);
	return hex;
}

void state_fetch_file(struct tuf *tuf)
{
	const struct tuf_target *target = &tuf->search.target;
	bool hashed = tuf_root_consistent(&tuf->roles[TUF_ROOT]);
	char hex[TUF_HEX_MAX];

	tuf->name[0] = '\0';
	(void)tuf_url_of_target(target->path, hashed ? file_hash(&target->digest, hex) : NULL,
				tuf->url);
	want(tuf, STEP_FILE, TUF_FETCH_FILE, target->digest.length);
	tuf->want.target = target;
}

static bool copy_kept(struct tuf *tuf, const struct fed *fed)
{
	forget_kept(tuf);
	tuf->kept = malloc(fed->len ? fed->len : 1);
	if (!tuf->kept) {
		no_memory(tuf);
		return false;
	}
	if (fed->len)
		memcpy(tuf->kept, fed->bytes, fed->len);
	return true;
}

void state_keep(struct tuf *tuf, const char *role, uint64_t version, const struct fed *fed,
		enum step after)
{
	if (!copy_kept(tuf, fed))
		return;
	tuf->after = after;
	(void)tuf_name_of_role(role, tuf->name);
	want(tuf, STEP_KEEP, TUF_KEEP, 0);
	tuf->want.bytes = tuf->kept;
	tuf->want.len = fed->len;
	tuf->want.version = version;
}

void state_keep_file(struct tuf *tuf, const struct fed *fed)
{
	if (!copy_kept(tuf, fed))
		return;
	tuf->after = STEP_READY;
	want(tuf, STEP_KEEP_FILE, TUF_KEEP_FILE, 0);
	tuf->want.bytes = tuf->kept;
	tuf->want.len = fed->len;
	tuf->want.target = &tuf->search.target;
}

void state_rest(struct tuf *tuf, enum step step)
{
	tuf->name[0] = tuf->url[0] = '\0';
	want(tuf, step, step == STEP_READY ? TUF_READY : TUF_NO_TARGET, 0);
}

static void on_kept(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_why why;

	forget_kept(tuf);
	if (fed->answer != TUF_ANSWER_OK) {
		tuf_refuse(&why, TUF_UNSTORED, "can't be stored");
		state_fail(tuf, &why);
	} else if (steps[tuf->after].begin) {
		steps[tuf->after].begin(tuf);
	} else {
		state_rest(tuf, tuf->after);
	}
}

void state_fail(struct tuf *tuf, const struct tuf_why *why)
{
	const char *what = tuf->url[0] ? tuf->url : tuf->name;

	tuf_refuse(&tuf->why, why->result, "%.120s%s%.250s", what, *what ? ": " : "", why->text);
	forget_kept(tuf);
	search_end(tuf);
	tuf->step = STEP_FAILED;
	tuf->want = (struct tuf_want){.kind = TUF_FAILED};
}

bool state_has_bytes(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_why why;

	if (fed->answer == TUF_ANSWER_ABSENT)
		tuf_refuse(&why, TUF_UNREACHABLE, "the server has no such file");
	else if (fed->answer == TUF_ANSWER_ERROR)
		tuf_refuse(&why, TUF_UNREACHABLE, "can't be fetched");
	else if (fed->answer == TUF_ANSWER_TOO_LARGE || fed->len > tuf->want.max_bytes)
		tuf_refuse(&why, TUF_TOO_LARGE, "larger than %zu bytes", tuf->want.max_bytes);
	else if (fed->len > tuf->bytes_left)
		tuf_refuse(&why, TUF_TOO_LARGE, "more than %llu bytes in this run", TUF_RUN_MAX);
	else {
		tuf->bytes_left -= fed->len;
		return true;
	}
	state_fail(tuf, &why);
	return false;
}
