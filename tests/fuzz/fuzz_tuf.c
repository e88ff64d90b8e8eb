/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine, with the check of signatures stubbed. The input is a script: for each thing
 * that is wanted some bytes say whether it comes, and as what: metadata of the right kind with
 * members that the script chooses, or its bytes as they stand. Whatever comes: nothing is kept that
 * was not signed, names stay in their folder, versions do not go back, and there is an end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/script.h"
#include "tests/tuf/forge.h"
#include "tuf/tuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than any run can want: 256 roots kept, the top roles, 32 roles for each of three targets. */
#define WANTS_MAX 2000

/* What must hold over a run. */
struct run {
	struct script script;
	struct tuf *tuf;
	char *fed; /* malloc'ed; the last bytes that came */
	size_t fed_len;
	uint64_t root, timestamp; /* versions kept */
	uint64_t total;           /* bytes that came as answers to FETCH */
};

/* --- metadata that a script chooses --------------------------------------------------------------
 */

static void choose_members(struct script *script, json_t *body)
{
	uint8_t how = take(script);

	if (how & 1)
		json_object_set_new(body, "expires", json_string(FORGE_PAST));
	if (how & 2)
		json_object_set_new(body, "version", json_integer((int8_t)take(script)));
	if (how & 4)
		json_object_set_new(body, "x", json_integer(take(script)));
	if (how & 8)
		json_object_del(body, "expires");
	if (how & 16)
		json_object_set_new(body, "_type", json_string("snapshot"));
}

static const char *role_name(uint8_t number)
{
	static const char *const names[] = {"a", "b", "c", "?", "/x", "../x", "%2e", "root", ""};

	return names[number % (sizeof(names) / sizeof(names[0]))];
}

static json_t *choose_targets(struct script *script)
{
	json_t *body = forge_targets(take(script) % 4);
	uint8_t delegations = take(script) % 5;
	uint8_t how = take(script);

	if (how & 1)
		forge_add(body, "group/web.yaml", "text");
	if (how & 2)
		forge_add(body, "base.yaml", "");
	for (uint8_t i = 0; i < delegations; i++) {
		const char *name = role_name(take(script));

		forge_delegate(body, name, how & 4 ? "*" : "*/*", take(script) % 3);
	}
	if (how & 8 && delegations) {
		json_t *roles = json_object_get(json_object_get(body, "delegations"), "roles");

		json_object_set_new(json_array_get(roles, 0), "terminating", json_true());
	}
	return body;
}

static json_t *choose_snapshot(struct script *script)
{
	uint8_t version = take(script) % 4, targets = take(script) % 4, count = take(script) % 8;
	json_t *body = forge_snapshot(version, targets);

	for (uint8_t i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%s.json", role_name(i));
		json_object_set_new(json_object_get(body, "meta"), name,
				    json_pack("{s:i}", "version", take(script) % 4));
	}
	return body;
}

/* Taken one by one: of arguments the order would be the compiler's. */
static json_t *choose_body(struct run *run, const char *name)
{
	uint8_t first, second, third;

	if (strstr(name, "root.json") || strcmp(name, "timestamp.json") == 0) {
		first = take(&run->script) % 3;
		second = take(&run->script);
		if (strcmp(name, "timestamp.json") == 0)
			return forge_timestamp((int64_t)run->timestamp + first, second % 4);
		third = take(&run->script);
		return forge_root((int64_t)run->root + first, second % 3, third & 1);
	}
	return strstr(name, "snapshot.json") ? choose_snapshot(&run->script)
					     : choose_targets(&run->script);
}

static void choose_text(struct run *run, const char *name)
{
	json_t *body = choose_body(run, name);
	uint8_t how = take(&run->script);

	choose_members(&run->script, body);
	run->fed = forge_sign(body, how & 3, how >> 2 & 3, !(how & 16));
	run->fed_len = strlen(run->fed);
}

static void choose_bytes(struct run *run)
{
	size_t len = take(&run->script);

	len = len < run->script.left ? len : run->script.left;
	run->fed = malloc(len ? len : 1);
	if (!run->fed)
		abort();
	memcpy(run->fed, run->script.at, len);
	run->fed_len = len;
	run->script.at += len;
	run->script.left -= len;
}

/* --- answers -------------------------------------------------------------------------------------
 */

static void check_name(const char *name)
{
	if (!name[0] || strchr(name, '/') || strlen(name) >= TUF_NAME_MAX)
		abort();
}

static void choose_file(struct run *run, uint8_t how)
{
	run->fed = strdup(how & 1 ? "text" : "");
	if (!run->fed)
		abort();
	run->fed_len = strlen(run->fed);
}

static void on_wanted_bytes(struct run *run, const struct tuf_want *want)
{
	uint8_t how = take(&run->script);

	free(run->fed);
	run->fed = NULL;
	if (want->kind != TUF_FETCH_FILE)
		check_name(want->name);
	if (want->kind == TUF_FETCH && (!want->url[0] || strchr(want->url, '/')))
		abort();
	if (how % 8 == 0) {
		run->fed_len = 0;
		tuf_feed(run->tuf, (enum tuf_answer)(TUF_ANSWER_ABSENT + how / 8 % 3), NULL, 0);
		return;
	}
	if (want->kind == TUF_FETCH_FILE)
		choose_file(run, how);
	else if (how % 8 == 1)
		choose_bytes(run);
	else
		choose_text(run, want->name);
	run->total += want->kind == TUF_LOAD ? 0 : run->fed_len;
	stub_good = 0;
	tuf_feed(run->tuf, TUF_ANSWER_OK, run->fed, run->fed_len);
}

static void on_keep(struct run *run, const struct tuf_want *want)
{
	check_name(want->name);
	if (!stub_good || !want->version || !want->bytes || !run->fed ||
	    want->len != run->fed_len || memcmp(want->bytes, run->fed, want->len) != 0)
		abort();
	if (strcmp(want->name, "root.json") == 0) {
		if (run->root && want->version != run->root + 1)
			abort();
		run->root = want->version;
	}
	if (strcmp(want->name, "timestamp.json") == 0)
		run->timestamp = want->version;
	tuf_feed(run->tuf, take(&run->script) == 255 ? TUF_ANSWER_ERROR : TUF_ANSWER_OK, NULL, 0);
}

static void on_keep_file(struct run *run, const struct tuf_want *want)
{
	struct tuf_digest digest;

	if (tuf_digest_of(want->bytes, want->len, &digest) < 0 ||
	    !tuf_digest_fits(&digest, &want->target->digest))
		abort();
	tuf_feed(run->tuf, TUF_ANSWER_OK, NULL, 0);
}

static void drive(struct run *run)
{
	for (int wants = 0; wants < WANTS_MAX; wants++) {
		const struct tuf_want *want = tuf_next(run->tuf);

		if (want->kind == TUF_KEEP)
			on_keep(run, want);
		else if (want->kind == TUF_KEEP_FILE)
			on_keep_file(run, want);
		else if (want->kind < TUF_READY)
			on_wanted_bytes(run, want);
		else
			return;
	}
	abort();
}

static void check_end(const struct run *run)
{
	const struct tuf_why *why = tuf_why(run->tuf);
	struct tuf_versions versions;
	struct tuf_floor floor;

	if ((tuf_next(run->tuf)->kind == TUF_FAILED) != (why->result != TUF_OK && why->text[0]))
		abort();
	tuf_versions(run->tuf, &versions);
	tuf_floor(run->tuf, &floor);
	if (floor.root < versions.root || versions.root < run->root || run->total > TUF_RUN_MAX)
		abort();
	if (tuf_next(run->tuf)->kind != TUF_FAILED &&
	    (!versions.root || !versions.timestamp || !versions.snapshot || !versions.targets ||
	     versions.timestamp_expires_s <= FORGE_NOW_S))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = {"base.yaml", "group/web.yaml", "host/x.yaml"};
	const struct tuf_options options = {.now_s = FORGE_NOW_S};
	struct run run = {.script = {data, size}, .tuf = tuf_new(&options)};

	if (!run.tuf)
		abort();
	drive(&run);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (tuf_find(run.tuf, paths[i]) == 0)
			drive(&run);
	check_end(&run);
	free(run.fed);
	tuf_free(run.tuf);
	return 0;
}
