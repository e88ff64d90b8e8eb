/* SPDX-License-Identifier: Apache-2.0 */
/* Sections 5.4 to 5.6 of the specification: timestamp, snapshot, top-level targets. */
#include <inttypes.h>

#include "tuf/json.h"
#include "tuf/state.h"

bool state_has(const struct tuf *tuf, enum tuf_kind kind)
{
	return tuf->roles[kind].whole != NULL;
}

uint64_t state_file_version(const struct tuf *tuf, uint64_t version)
{
	return tuf_root_consistent(&tuf->roles[TUF_ROOT]) ? version : 0;
}

enum tuf_result state_check_expiry(const struct tuf *tuf, const struct tuf_metadata *metadata,
				   struct tuf_why *why)
{
	if (tuf->options.now_s < metadata->expires_s)
		return TUF_OK;
	return tuf_refuse(why, TUF_EXPIRED, "expired on %s",
			  tuf_json_text(metadata->body, "expires"));
}

enum tuf_result state_check_listed(const struct tuf_metadata *metadata,
				   const struct tuf_listed *listed, struct tuf_why *why)
{
	if (metadata->version != listed->version)
		return tuf_refuse(why, TUF_UNTRUSTED,
				  "version %" PRIu64 ", but %" PRIu64 " is listed",
				  metadata->version, listed->version);
	if (!tuf_digest_fits(&metadata->digest, &listed->digest))
		return tuf_refuse(why, TUF_UNTRUSTED, "other length or hash than listed");
	return TUF_OK;
}

enum tuf_result state_check_bytes(const struct fed *fed, const struct tuf_listed *listed,
				  struct tuf_why *why)
{
	struct tuf_digest digest;

	if (tuf_digest_of(fed->bytes, fed->len, &digest) < 0)
		return tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	if (!tuf_digest_fits(&digest, &listed->digest))
		return tuf_refuse(why, TUF_UNTRUSTED, "other length or hash than listed");
	return TUF_OK;
}

/* --- what is stored [5.3.11] ---------------------------------------------------------------------
 */

/*
 * A stored file counts only if it verifies by the root in force. Not its expiry: it still says how
 * far the versions had come. UNTRUSTED: it does not verify though it is well formed, which means
 * that the role's keys were replaced. NO_MEMORY: the run is over, since what could not be read
 * might have forbidden what comes.
 */
static enum tuf_result load(struct tuf *tuf, enum tuf_kind kind, const struct fed *fed)
{
	struct tuf_metadata metadata = {.whole = NULL};
	struct tuf_why why;
	enum tuf_result result = TUF_MALFORMED;

	if (fed->answer == TUF_ANSWER_OK)
		result = state_read_by_root(&tuf->roles[TUF_ROOT], &metadata, kind, fed, &why);
	if (result == TUF_OK)
		state_accept(tuf, &metadata);
	else
		tuf_metadata_free(&metadata);
	if (result == TUF_NO_MEMORY)
		state_fail(tuf, &why);
	return result;
}

void refresh_on_local_timestamp(struct tuf *tuf, const struct fed *fed)
{
	enum tuf_result result = load(tuf, TUF_TIMESTAMP, fed);

	if (result == TUF_NO_MEMORY)
		return;
	tuf->rekeyed = result == TUF_UNTRUSTED;
	state_load(tuf, STEP_LOCAL_SNAPSHOT, "snapshot", TUF_SNAPSHOT_MAX);
}

void refresh_on_local_snapshot(struct tuf *tuf, const struct fed *fed)
{
	enum tuf_result result = load(tuf, TUF_SNAPSHOT, fed);

	if (result == TUF_NO_MEMORY)
		return;
	tuf->rekeyed = result == TUF_UNTRUSTED || tuf->rekeyed;
	if (tuf->rekeyed) {
		tuf_metadata_free(&tuf->roles[TUF_TIMESTAMP]);
		tuf_metadata_free(&tuf->roles[TUF_SNAPSHOT]);
	}
	state_fetch(tuf, STEP_REMOTE_TIMESTAMP, "timestamp", 0, TUF_TIMESTAMP_MAX);
}

/* --- timestamp [5.4] -----------------------------------------------------------------------------
 */

static uint64_t snapshot_version(const struct tuf_metadata *timestamp)
{
	struct tuf_listed listed = {.version = 0};

	return tuf_metadata_listed(timestamp, "snapshot.json", &listed) < 0 ? 0 : listed.version;
}

static enum tuf_result check_timestamp(const struct tuf *tuf, const struct tuf_metadata *timestamp,
				       struct tuf_why *why)
{
	const struct tuf_metadata *old = &tuf->roles[TUF_TIMESTAMP];
	uint64_t lowest =
		state_highest(old->version, state_floor(tuf, tuf->options.floor.timestamp));
	uint64_t snapshot = state_highest(tuf->roles[TUF_SNAPSHOT].version,
					  state_floor(tuf, tuf->options.floor.snapshot));

	if (state_has(tuf, TUF_TIMESTAMP))
		snapshot = state_highest(snapshot, snapshot_version(old));
	if (timestamp->version < lowest)
		return tuf_refuse(why, TUF_ROLLBACK,
				  "version %" PRIu64 ", but %" PRIu64 " was seen before",
				  timestamp->version, lowest);
	if (timestamp->version == old->version)
		return TUF_OK; /* the old one stays, whatever this one lists */
	if (snapshot_version(timestamp) < snapshot)
		return tuf_refuse(why, TUF_ROLLBACK,
				  "lists snapshot version %" PRIu64 ", but %" PRIu64
				  " was seen before",
				  snapshot_version(timestamp), snapshot);
	return state_check_expiry(tuf, timestamp, why);
}

void refresh_on_remote_timestamp(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_metadata timestamp = {.whole = NULL};
	const struct tuf_metadata *old = &tuf->roles[TUF_TIMESTAMP];
	struct tuf_why why;
	enum tuf_result result;
	bool is_old;

	if (!state_has_bytes(tuf, fed))
		return;
	result = state_read_by_root(&tuf->roles[TUF_ROOT], &timestamp, TUF_TIMESTAMP, fed, &why);
	if (result == TUF_OK)
		result = check_timestamp(tuf, &timestamp, &why);
	is_old = timestamp.version == old->version;
	if (result == TUF_OK && is_old)
		result = state_check_expiry(tuf, old, &why);
	if (result != TUF_OK || is_old)
		tuf_metadata_free(&timestamp);
	tuf->answered = result == TUF_OK;
	if (result != TUF_OK) {
		state_fail(tuf, &why);
	} else if (is_old) {
		refresh_next_snapshot(tuf);
	} else {
		state_accept(tuf, &timestamp);
		state_keep(tuf, "timestamp", timestamp.version, fed, STEP_REMOTE_SNAPSHOT);
	}
}

/* --- snapshot [5.5], targets [5.6] ---------------------------------------------------------------
 */

/* What the role above lists of a role; that it lists it was checked when it was read. */
static struct tuf_listed listed_of(const struct tuf *tuf, enum tuf_kind kind)
{
	struct tuf_listed listed = {.version = 0};

	if (kind == TUF_SNAPSHOT)
		(void)tuf_metadata_listed(&tuf->roles[TUF_TIMESTAMP], "snapshot.json", &listed);
	else
		(void)tuf_metadata_listed(&tuf->roles[TUF_SNAPSHOT], "targets.json", &listed);
	return listed;
}

static bool is_current(const struct tuf *tuf, enum tuf_kind kind)
{
	const struct tuf_listed listed = listed_of(tuf, kind);
	struct tuf_why why;

	return state_has(tuf, kind) &&
	       state_check_listed(&tuf->roles[kind], &listed, &why) == TUF_OK &&
	       state_check_expiry(tuf, &tuf->roles[kind], &why) == TUF_OK;
}

static void fetch_listed(struct tuf *tuf, enum step step, enum tuf_kind kind)
{
	const struct tuf_listed listed = listed_of(tuf, kind);
	size_t max_bytes = tuf_kind_max(kind);

	if (listed.digest.has_length && listed.digest.length < max_bytes)
		max_bytes = listed.digest.length;
	state_fetch(tuf, step, tuf_kind_name(kind), state_file_version(tuf, listed.version),
		    max_bytes);
}

void refresh_next_snapshot(struct tuf *tuf)
{
	if (is_current(tuf, TUF_SNAPSHOT))
		refresh_next_targets(tuf);
	else
		fetch_listed(tuf, STEP_REMOTE_SNAPSHOT, TUF_SNAPSHOT);
}

void refresh_next_targets(struct tuf *tuf)
{
	state_load(tuf, STEP_LOCAL_TARGETS, "targets", TUF_TARGETS_MAX);
}

/* Length and hashes come before the signatures: less code sees what a stranger sent. */
static enum tuf_result read_listed(const struct tuf *tuf, struct tuf_metadata *metadata,
				   enum tuf_kind kind, const struct fed *fed, struct tuf_why *why)
{
	const struct tuf_listed listed = listed_of(tuf, kind);
	enum tuf_result result = state_check_bytes(fed, &listed, why);

	if (result == TUF_OK)
		result = state_read_by_root(&tuf->roles[TUF_ROOT], metadata, kind, fed, why);
	return result == TUF_OK ? state_check_listed(metadata, &listed, why) : result;
}

/* Each file that the old snapshot lists is still there, and not older. */
static enum tuf_result check_files(const struct tuf_metadata *old, const struct tuf_metadata *new,
				   struct tuf_why *why)
{
	json_t *meta = json_object_get(old->body, "meta"), *entry;
	const char *name;

	json_object_foreach(meta, name, entry)
	{
		struct tuf_listed before, now;

		if (tuf_metadata_listed(old, name, &before) < 0)
			continue;
		if (tuf_metadata_listed(new, name, &now) < 0)
			return tuf_refuse(why, TUF_ROLLBACK, "%.100s is gone from it", name);
		if (now.version < before.version)
			return tuf_refuse(why, TUF_ROLLBACK,
					  "lists %.80s version %" PRIu64 ", but %" PRIu64
					  " was seen before",
					  name, now.version, before.version);
	}
	return TUF_OK;
}

void refresh_on_remote_snapshot(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_metadata snapshot = {.whole = NULL};
	struct tuf_why why;
	enum tuf_result result;

	if (!state_has_bytes(tuf, fed))
		return;
	result = read_listed(tuf, &snapshot, TUF_SNAPSHOT, fed, &why);
	if (result == TUF_OK && state_has(tuf, TUF_SNAPSHOT))
		result = check_files(&tuf->roles[TUF_SNAPSHOT], &snapshot, &why);
	if (result == TUF_OK)
		result = state_check_expiry(tuf, &snapshot, &why);
	if (result != TUF_OK) {
		tuf_metadata_free(&snapshot);
		state_fail(tuf, &why);
		return;
	}
	state_accept(tuf, &snapshot);
	state_keep(tuf, "snapshot", snapshot.version, fed, STEP_LOCAL_TARGETS);
}

void refresh_on_local_targets(struct tuf *tuf, const struct fed *fed)
{
	if (load(tuf, TUF_TARGETS, fed) == TUF_NO_MEMORY)
		return;
	if (is_current(tuf, TUF_TARGETS))
		state_rest(tuf, STEP_READY);
	else
		fetch_listed(tuf, STEP_REMOTE_TARGETS, TUF_TARGETS);
}

void refresh_on_remote_targets(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_metadata targets = {.whole = NULL};
	struct tuf_why why;
	enum tuf_result result;

	if (!state_has_bytes(tuf, fed))
		return;
	result = read_listed(tuf, &targets, TUF_TARGETS, fed, &why);
	if (result == TUF_OK)
		result = state_check_expiry(tuf, &targets, &why);
	if (result != TUF_OK) {
		tuf_metadata_free(&targets);
		state_fail(tuf, &why);
		return;
	}
	state_accept(tuf, &targets);
	state_keep(tuf, "targets", targets.version, fed, STEP_READY);
}
