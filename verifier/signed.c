/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/signed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "tuf/metadata.h"
#include "verifier/outcome.h"

/* The last time that something was accepted, and how far the versions had come. */
struct memory {
	struct tuf_floor floor;
	int64_t time_s;
};

/* What answers for a role in this run: the file that was loaded last, or kept. */
struct answer {
	char name[TUF_NAME_MAX]; /* "snapshot.json" */
	char stored[MSG_FILE_NAME_MAX];
	const struct stock_file *file;
	bool fetched; /* file is in the bundle */
};

#define ANSWERS_MAX   64u
#define TARGET_ENDING ".target"

struct run {
	const struct signed_input *input;
	struct signed_result *result;
	struct stock store, bundle;
	struct memory memory;
	struct tuf *tuf;
	const struct stock_file *last; /* answered the last FETCH, FETCH_FILE */
	bool last_fetched;
	struct answer answers[ANSWERS_MAX];
	uint32_t answer_count;
	struct answer targets[SIGNED_PARTS_MAX];
	uint32_t target_count;
};

/* --- what is remembered -------------------------------------------------------------------------
 */

/* "NAME=" and a number, at *at, which goes on behind the blank that follows. */
static bool take_number(const char **at, const char *name, uint64_t *number)
{
	size_t len = strlen(name);
	char *end;

	if (strncmp(*at, name, len) != 0 || (*at)[len] < '0' || (*at)[len] > '9')
		return false;
	errno = 0;
	*number = strtoull(*at + len, &end, 10);
	*at = end + 1;
	return errno == 0 && *end == ' ';
}

/* A floor that can't be read is none: whoever could write it could remove it. */
static void read_memory(const struct stock *store, struct memory *memory)
{
	const struct stock_file *file = stock_find(store, "floor");
	struct memory read = {.time_s = 0};
	char text[MSG_FLOOR_MAX];
	const char *at = text;
	uint64_t time_s;

	*memory = read;
	if (!file || file->len_bytes >= sizeof(text))
		return;
	memcpy(text, file->bytes, file->len_bytes);
	text[file->len_bytes] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!take_number(&at, "root=", &read.floor.root) ||
	    !take_number(&at, "timestamp=", &read.floor.timestamp) ||
	    !take_number(&at, "snapshot=", &read.floor.snapshot) ||
	    !take_number(&at, "time=", &time_s) || time_s > INT64_MAX ||
	    strncmp(at, "keys=", 5) != 0 ||
	    tuf_hex_read(at + 5, read.floor.online_keys, TUF_SHA256_LEN) < 0)
		return;
	read.time_s = (int64_t)time_s;
	*memory = read;
}

static void write_memory(const struct memory *memory, char text[MSG_FLOOR_MAX])
{
	char keys[TUF_HEX_MAX];

	tuf_hex_write(memory->floor.online_keys, TUF_SHA256_LEN, keys);
	snprintf(text, MSG_FLOOR_MAX,
		 "root=%" PRIu64 " timestamp=%" PRIu64 " snapshot=%" PRIu64 " time=%" PRId64
		 " keys=%s\n",
		 memory->floor.root, memory->floor.timestamp, memory->floor.snapshot,
		 memory->time_s, keys);
}

/* --- what the store is to have ------------------------------------------------------------------
 */

static void list_files(struct run *run)
{
	for (uint32_t i = 0; i < run->answer_count; i++)
		outcome_list_file(run->result, run->answers[i].stored, FILE_LATEST | FILE_NEW,
				  run->answers[i].fetched ? run->answers[i].file : NULL);
	for (uint32_t i = 0; i < run->target_count; i++)
		outcome_list_file(run->result, run->targets[i].stored, FILE_NEW,
				  run->targets[i].fetched ? run->targets[i].file : NULL);
	outcome_list_stored(run->result, &run->store);
}

/* --- answers to the state machine ----------------------------------------------------------------
 */

static struct answer *find_answer(struct run *run, const char *name)
{
	for (uint32_t i = 0; i < run->answer_count; i++)
		if (strcmp(run->answers[i].name, name) == 0)
			return &run->answers[i];
	return NULL;
}

static bool note_answer(struct run *run, const char *name, const char *stored,
			const struct stock_file *file, bool fetched)
{
	struct answer *answer = find_answer(run, name);

	if (!answer && run->answer_count == ANSWERS_MAX)
		return false;
	if (!answer)
		answer = &run->answers[run->answer_count++];
	*answer = (struct answer){.file = file, .fetched = fetched};
	snprintf(answer->name, sizeof(answer->name), "%s", name);
	snprintf(answer->stored, sizeof(answer->stored), "%s", stored);
	return true;
}

static void feed_file(struct run *run, const struct stock_file *file, size_t max_bytes)
{
	if (!file)
		tuf_feed(run->tuf, TUF_ANSWER_ABSENT, NULL, 0);
	else if (file->len_bytes > max_bytes)
		tuf_feed(run->tuf, TUF_ANSWER_TOO_LARGE, NULL, 0);
	else
		tuf_feed(run->tuf, TUF_ANSWER_OK, file->bytes, file->len_bytes);
}

static void on_load(struct run *run, const struct tuf_want *want)
{
	const struct signed_bytes *root = &run->input->root;
	const struct answer *answer = find_answer(run, want->name);
	const struct stock_file *file = answer ? answer->file : NULL;

	if (strcmp(want->name, "root.json") == 0) {
		tuf_feed(run->tuf, TUF_ANSWER_OK, root->bytes, root->len_bytes);
		return;
	}
	if (!file && !run->input->offline)
		file = stock_latest(&run->store, want->name, false);
	if (file && !answer && !note_answer(run, want->name, file->name, file, false))
		file = NULL;
	feed_file(run, file, want->max_bytes);
}

static void on_fetch(struct run *run, const struct tuf_want *want)
{
	char name[BUNDLE_NAME_MAX];
	const struct stock_file *file = NULL;

	if (strcmp(want->name, "root.json") == 0)
		file = stock_find(&run->store, want->url);
	else if (run->input->offline)
		file = stock_latest(&run->store, want->name, true);
	run->last_fetched = !file;
	if (!file && !run->input->offline) {
		snprintf(name, sizeof(name), BUNDLE_METADATA "%s", want->url);
		file = stock_find(&run->bundle, name);
	}
	run->last = file;
	feed_file(run, file, want->max_bytes);
}

static void on_keep(struct run *run, const struct tuf_want *want)
{
	char stored[MSG_FILE_NAME_MAX];
	bool room = snprintf(stored, sizeof(stored), "%" PRIu64 ".%s", want->version, want->name) <
		    (int)sizeof(stored);

	if (room && strcmp(want->name, "root.json") == 0)
		outcome_list_file(run->result, stored, FILE_LATEST,
				  run->last_fetched ? run->last : NULL);
	else
		room = room && note_answer(run, want->name, stored, run->last, run->last_fetched);
	tuf_feed(run->tuf, room ? TUF_ANSWER_OK : TUF_ANSWER_ERROR, NULL, 0);
}

static void on_fetch_file(struct run *run, const struct tuf_want *want)
{
	const struct tuf_digest *listed = &want->target->digest;
	char name[BUNDLE_NAME_MAX];
	const struct stock_file *file = stock_target(&run->store, listed, run->input->offline);

	run->last_fetched = !file;
	if (!file && !run->input->offline) {
		snprintf(name, sizeof(name), BUNDLE_TARGET "%s", want->url);
		file = stock_target(&run->bundle, listed, false);
		/* It is fed all the same, so that it is said what is wrong with it. */
		if (!file)
			file = stock_find(&run->bundle, name);
	}
	run->last = file;
	feed_file(run, file, want->max_bytes);
}

static void on_keep_file(struct run *run, const struct tuf_want *want)
{
	struct schema_text *part = &run->result->parts[run->result->part_count];
	struct answer *target = &run->targets[run->target_count++];
	struct tuf_digest digest;
	char hex[TUF_HEX_MAX];
	bool known = tuf_digest_of(want->bytes, want->len, &digest) == 0;

	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
	*target = (struct answer){.file = run->last, .fetched = run->last_fetched};
	snprintf(target->stored, sizeof(target->stored), "%s" TARGET_ENDING, hex);
	part->text = run->last->bytes;
	part->len = run->last->len_bytes;
	tuf_feed(run->tuf, known ? TUF_ANSWER_OK : TUF_ANSWER_ERROR, NULL, 0);
}

/* By enum tuf_want_kind; those without are the ends of a run. */
static void (*const handlers[])(struct run *run, const struct tuf_want *want) = {
	[TUF_LOAD] = on_load,           [TUF_FETCH] = on_fetch,
	[TUF_KEEP] = on_keep,           [TUF_FETCH_FILE] = on_fetch_file,
	[TUF_KEEP_FILE] = on_keep_file, [TUF_READY] = NULL,
	[TUF_NO_TARGET] = NULL,         [TUF_FAILED] = NULL,
};

static enum tuf_want_kind drive(struct run *run)
{
	const struct tuf_want *want = tuf_next(run->tuf);

	while (handlers[want->kind]) {
		handlers[want->kind](run, want);
		want = tuf_next(run->tuf);
	}
	return want->kind;
}

/* --- a run ---------------------------------------------------------------------------------------
 */

static void tell_versions(struct run *run)
{
	struct msg_signed *told = &run->result->told;
	struct tuf_versions v;

	tuf_versions(run->tuf, &v);
	told->versions[MSG_ROLE_ROOT] = v.root;
	told->versions[MSG_ROLE_TIMESTAMP] = v.timestamp;
	told->versions[MSG_ROLE_SNAPSHOT] = v.snapshot;
	told->versions[MSG_ROLE_TARGETS] = v.targets;
	told->expires_s[MSG_ROLE_ROOT] = outcome_expiry(v.root_expires_s);
	told->expires_s[MSG_ROLE_TIMESTAMP] = outcome_expiry(v.timestamp_expires_s);
	told->expires_s[MSG_ROLE_SNAPSHOT] = outcome_expiry(v.snapshot_expires_s);
	told->expires_s[MSG_ROLE_TARGETS] = outcome_expiry(v.targets_expires_s);
}

/* Brings a fresh state machine up to the targets. */
static enum tuf_want_kind refresh(struct run *run)
{
	struct tuf_options options = {.now_s = run->input->now_s, .floor = run->memory.floor};

	/* What is in force was accepted at its time. */
	if (run->input->offline)
		options = (struct tuf_options){.now_s = INT64_MIN};
	tuf_free(run->tuf);
	run->answer_count = 0;
	run->tuf = tuf_new(&options);
	return run->tuf ? drive(run) : TUF_FAILED;
}

/* Returns false if the run is over. */
static bool take_part(struct run *run, const char *path)
{
	struct signed_result *result = run->result;
	struct schema_text *part = &result->parts[result->part_count];
	enum tuf_want_kind end;

	snprintf(result->names[result->part_count], CONFIG_NAME_MAX, "%s", path);
	part->name = result->names[result->part_count];
	end = tuf_find(run->tuf, path) == 0 ? drive(run) : TUF_FAILED;
	if (end == TUF_READY)
		result->part_count++;
	if (end != TUF_FAILED)
		return true;
	/* The poller brings next what the set in force lacks. A failed machine is of no more use.
	 */
	return run->input->offline && refresh(run) == TUF_READY;
}

static bool take_parts(struct run *run, const struct config_source *source)
{
	char path[CONFIG_NAME_MAX];
	bool well = take_part(run, "base.yaml");

	for (uint32_t i = 0; i < source->group_count && well; i++) {
		snprintf(path, sizeof(path), "group/%s.yaml", source->groups[i].name);
		well = take_part(run, path);
	}
	if (well && source->host[0]) {
		snprintf(path, sizeof(path), "host/%s.yaml", source->host);
		well = take_part(run, path);
	}
	return well;
}
_Static_assert(CONFIG_LABEL_MAX - 1 + sizeof("group/.yaml") <= CONFIG_NAME_MAX,
	       "signed: a part's name");

static void end_online(struct run *run, bool well)
{
	struct memory memory = run->memory;

	list_files(run);
	if (!run->tuf)
		return;
	if (!well)
		outcome_refuse(run->result, tuf_why(run->tuf));
	else
		outcome_tell(run->result, TRUST_accepted, "");
	if (outcome_settle(run->result))
		memory.time_s = run->input->now_s;
	tuf_floor(run->tuf, &memory.floor);
	if (memcmp(&memory, &run->memory, sizeof(memory)) != 0)
		write_memory(&memory, run->result->told.floor);
}

static void run_online(struct run *run, const struct config_source *source)
{
	bool well;

	(void)stock_mark(&run->store);
	well = outcome_read_bundle(run->result, run->input, run->memory.time_s, &run->bundle) &&
	       refresh(run) == TUF_READY && take_parts(run, source);
	end_online(run, well);
}

/* Whether the files of the set in force are all there, and targets are what they are called. */
static bool is_whole(const struct stock *store, uint32_t named)
{
	uint32_t found = 0;
	bool whole = true;

	for (uint32_t i = 0; i < store->count; i++) {
		const struct stock_file *file = &store->files[i];
		const char *dot = strchr(file->name, '.');
		struct tuf_digest digest;
		char hex[TUF_HEX_MAX];

		found += file->in_force;
		if (!file->in_force || !dot || strcmp(dot, TARGET_ENDING) != 0)
			continue;
		if (tuf_digest_of(file->bytes, file->len_bytes, &digest) < 0)
			return false;
		tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
		whole &= strncmp(file->name, hex, 2 * TUF_SHA256_LEN) == 0;
	}
	return whole && found == named;
}

static void run_offline(struct run *run, const struct config_source *source)
{
	uint32_t named = stock_mark(&run->store);

	if (!named) {
		outcome_tell(run->result, TRUST_none, "");
	} else if (!is_whole(&run->store, named)) {
		outcome_tell(run->result, TRUST_untrusted, "a file is gone or was changed");
	} else if (refresh(run) == TUF_READY && take_parts(run, source)) {
		outcome_tell(run->result, TRUST_accepted, "");
	} else {
		if (run->tuf)
			outcome_refuse(run->result, tuf_why(run->tuf));
		run->result->part_count = 0;
	}
	run->result->file_count = 0;
}

int signed_verify(const struct signed_input *input, const struct config_source *source,
		  struct signed_result *result)
{
	static struct run run;
	int err;

	memset(&run, 0, sizeof(run));
	run.input = input;
	run.result = result;
	err = outcome_begin(result, input, &run.store);
	if (err)
		return err;
	read_memory(&run.store, &run.memory);
	if (input->offline)
		run_offline(&run, source);
	else
		run_online(&run, source);
	if (run.tuf)
		tell_versions(&run);
	tuf_free(run.tuf);
	return 0;
}
