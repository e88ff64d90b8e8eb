/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local agent's answers, with the check of signatures stubbed. The input is a script of several:
 * each is bytes as they stand, or an answer whose parts the script chooses. Whatever comes: what is
 * refused changes nothing, what is accepted was signed, is what targets list and doesn't go back,
 * and there is always a next request.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rc/base64.h"
#include "rc/rc.h"
#include "tests/fuzz/script.h"
#include "tests/tuf/forge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWERS_MAX 16

static const char *const paths[] = {
	"datadog/2/CONNTRACE/base/config", "employee/CONNTRACE/web/text",
	"datadog/2/OTHER/other/0",         "datadog/2/UNASKED/a/b",
	"datadog/x/CONNTRACE/a/b",         "base.yaml",
	"employee/CONNTRACE/../x",         "\xc3\xa4/\x01",
};
#define PATHS (sizeof(paths) / sizeof(paths[0]))

static const char *const texts[] = {"", "text", "tent", "\xff\x01"};

/* --- answers that a script chooses ---------------------------------------------------------------
 */

static json_t *encode(const char *text)
{
	char *coded = base64_write((const uint8_t *)text, strlen(text));
	json_t *value = json_string(coded);

	free(coded);
	return value;
}

/* Keys and whether it is signed well; what is spoilt of the body before. */
static json_t *choose_signed(struct script *script, json_t *body)
{
	uint8_t how = take(script), spoil = take(script);
	json_t *value;
	char *text;

	if (spoil & 1)
		json_object_set_new(body, "expires", json_string(FORGE_PAST));
	if (spoil & 2)
		json_object_set_new(body, "expires", json_string("2099-01-01T00:00:00.5Z"));
	if (spoil & 4)
		json_object_set_new(body, "version", json_integer((int8_t)take(script)));
	if (spoil & 8)
		json_object_set_new(body, "_type", json_string("snapshot"));
	if (spoil & 16)
		json_object_set_new(body, "custom",
				    json_pack("{s:s}", "opaque_backend_state", "Zm9v"));
	text = forge_sign(body, how & 1, how >> 1 & 1, !(how & 4));
	value = encode(text);
	free(text);
	return value;
}

static json_t *choose_roots(struct script *script, uint64_t version)
{
	json_t *list = json_array();

	for (uint8_t count = take(script) % 4; count; count--) {
		version += take(script) % 3;
		json_array_append_new(list,
				      choose_signed(script, forge_root((int64_t)version, 1, true)));
	}
	return list;
}

static json_t *choose_targets(struct script *script, uint64_t version)
{
	json_t *body = forge_targets((int64_t)version + take(script) % 3 - 1);
	json_t *targets = json_object_get(body, "targets");

	for (size_t i = 0; i < PATHS; i++) {
		uint8_t how = take(script);

		if (how & 1)
			continue;
		forge_add(body, paths[i], texts[how >> 1 & 3]);
		if (!(how & 8))
			json_object_set_new(json_object_get(targets, paths[i]), "custom",
					    json_pack("{s:i}", "v", how >> 4));
		if (how & 128)
			json_object_set_new(json_object_get(targets, paths[i]), "hashes",
					    json_pack("{s:s}", "md5", "00"));
	}
	return choose_signed(script, body);
}

static json_t *choose_files(struct script *script)
{
	json_t *list = json_array();

	for (uint8_t count = take(script) % 8; count; count--) {
		uint8_t which = take(script);

		json_array_append_new(list, json_pack("{s:s, s:o}", "path", paths[which % PATHS],
						      "raw", encode(texts[which / PATHS % 4])));
	}
	return list;
}

static json_t *choose_configs(struct script *script)
{
	json_t *list = json_array();

	for (uint8_t count = take(script) % 8; count; count--)
		json_array_append_new(list, json_string(paths[take(script) % PATHS]));
	return list;
}

static char *choose_answer(struct script *script, const struct rc_versions *versions)
{
	uint8_t without = take(script);
	json_t *answer = json_object();
	char *text;

	/* Taken one by one: of arguments the order would be the compiler's. */
	json_object_set_new(answer, "roots", choose_roots(script, versions->root));
	json_object_set_new(answer, "targets", choose_targets(script, versions->targets));
	json_object_set_new(answer, "target_files", choose_files(script));
	json_object_set_new(answer, "client_configs", choose_configs(script));
	if (without & 128)
		json_object_del(answer, "roots");
	if (without & 64)
		json_object_del(answer, "targets");
	if (without & 32)
		json_object_set_new(answer, "target_files", json_null());
	text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (!text)
		abort();
	return text;
}

static char *choose_bytes(struct script *script)
{
	size_t len = take(script);
	char *text;

	len = len < script->left ? len : script->left;
	text = malloc(len + 1);
	if (!text)
		abort();
	memcpy(text, script->at, len);
	text[len] = '\0';
	script->at += len;
	script->left -= len;
	return text;
}

/* --- what must hold ------------------------------------------------------------------------------
 */

/* The next request, but for what it tells of an error. */
static json_t *ask(const struct rc *rc)
{
	char *text = rc_request(rc);
	json_t *request = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *state = json_object_get(json_object_get(request, "client"), "state");

	if (!state)
		abort();
	free(text);
	json_object_del(state, "has_error");
	json_object_del(state, "error");
	return request;
}

static void check_files(const struct rc *rc)
{
	const struct rc_file *file;
	struct tuf_digest digest;
	size_t total = 0;

	for (size_t i = 0; (file = rc_file(rc, i)); i++) {
		if (tuf_digest_of(file->bytes, file->len, &digest) < 0 ||
		    !tuf_digest_fits(&digest, &file->listed) ||
		    (!file->listed.has_sha256 && !file->listed.has_sha512))
			abort();
		if (strcmp(file->parts.product, "CONNTRACE") != 0 &&
		    strcmp(file->parts.product, "OTHER") != 0)
			abort();
		if (i && strcmp(rc_file(rc, i - 1)->path, file->path) >= 0)
			abort();
		total += file->len;
	}
	if (total > RC_BYTES_MAX)
		abort();
}

static void check_accepted(const struct rc *rc, const struct rc_versions *before)
{
	struct rc_versions after;
	struct rc_floor floor;

	rc_versions(rc, &after);
	rc_floor(rc, &floor);
	if (!stub_good || after.root < before->root || after.targets < before->targets ||
	    after.root_expires_s <= FORGE_NOW_S || after.targets_expires_s <= FORGE_NOW_S ||
	    floor.root != after.root || floor.targets != after.targets)
		abort();
	check_files(rc);
}

static void answer_once(struct rc *rc, struct script *script)
{
	json_t *before = ask(rc), *after;
	struct rc_versions versions;
	struct tuf_why why = {.text = ""};
	uint8_t how = take(script);
	struct rc_answer answer = {.status = how % 16 == 15 ? 404 : 200, .now_s = FORGE_NOW_S};
	enum rc_outcome outcome;
	char *text;

	rc_versions(rc, &versions);
	text = how & 16 ? choose_bytes(script) : choose_answer(script, &versions);
	answer.bytes = text;
	answer.len = strlen(text);
	stub_good = 0;
	outcome = rc_feed(rc, &answer, &why);
	after = ask(rc);
	if (outcome == RC_ACCEPTED)
		check_accepted(rc, &versions);
	else if (!json_equal(before, after))
		abort();
	if (outcome >= RC_REFUSED && (why.result == TUF_OK || !why.text[0]))
		abort();
	rc_note(rc, "CONNTRACE", RC_ERROR, how & 32 ? text : "");
	json_decref(before);
	json_decref(after);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rc_options options = {
		.products = {"CONNTRACE", "OTHER"},
		.product_count = 2,
		.capabilities = (const uint8_t *)"",
		.language = "c",
		.tracer_version = "",
		.service = "",
		.env = "",
		.app_version = "",
	};
	struct script script = {data, size};
	char *root = forge_sign(forge_root(1, 1, true), 0, 0, true);
	struct tuf_why why;
	struct rc *rc = rc_new(&options, root, strlen(root), &why);

	if (!rc)
		abort();
	for (int i = 0; i < ANSWERS_MAX && script.left; i++)
		answer_once(rc, &script);
	rc_free(rc);
	free(root);
	return 0;
}
