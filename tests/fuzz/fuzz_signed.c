/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verifier gets from a poller and a store that are not to be trusted, with the check of
 * signatures stubbed. The input is a script: which files are in the store and in the bundle, under
 * which names, with which content; or their bytes as they stand. Whatever comes: parts only of what
 * was accepted, and no text or file that lies anywhere but in what came.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "tests/fuzz/script.h"
#include "tests/tuf/forge.h"
#include "verifier/signed.h"
#include "verifier/signed_rc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_S      (INT64_C(1) << 31) /* 2038 */
#define FILES_MOST 24
#define HASH       "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1" /* of "text" */
#define RC_PATH    "employee/CONNTRACE/web/text"

static const char *const names[] = {
	"2.root.json",
	"3.root.json",
	"1.timestamp.json",
	"2.snapshot.json",
	"2.targets.json",
	"3.targets.json",
	HASH ".target",
	HASH ".employee%2FCONNTRACE%2Fweb%2Ftext",
	HASH ".%",
	"active",
	"floor",
	"m/2.root.json",
	"m/timestamp.json",
	"m/2.snapshot.json",
	"m/2.targets.json",
	"t/" HASH ".base.yaml",
	"t/group/" HASH ".web.yaml",
	"t/base.yaml",
	"m/../x",
	"x",
};

/* Whole texts of files that are ours. */
static const char *const texts[] = {
	"text",
	"",
	"2.targets.json\n" HASH ".employee%2FCONNTRACE%2Fweb%2Ftext\n",
	"1.timestamp.json\n2.snapshot.json\n2.targets.json\n" HASH ".target\n",
	"gone\n",
	"{\"root\":1,\"targets\":3,\"time\":1,\"keys\":\"a\"}\n",
	"root=1 timestamp=2 snapshot=2 time=1 keys=00\n",
	"\n\n",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- files that a script chooses -----------------------------------------------------------------
 */

static json_t *targets_of(uint8_t version, uint8_t how)
{
	json_t *body = forge_targets(version);

	forge_add(body, "base.yaml", how & 1 ? "text" : "");
	forge_add(body, "group/web.yaml", "text");
	forge_add(body, RC_PATH, how & 2 ? "" : "text");
	json_object_set_new(json_object_get(json_object_get(body, "targets"), RC_PATH), "custom",
			    json_pack("{s:i}", "v", version));
	if (how & 4)
		forge_delegate(body, "a", "*", 0);
	return body;
}

static char *choose_metadata(struct script *script, uint8_t kind)
{
	uint8_t version = take(script) % 4, how = take(script);
	json_t *body = kind == 0   ? forge_root(version, 1, how & 1)
		       : kind == 1 ? forge_timestamp(version, how % 4)
		       : kind == 2 ? forge_snapshot(version, how % 4)
				   : targets_of(version, how);

	if (how & 64)
		json_object_set_new(body, "expires", json_string(FORGE_PAST));
	return forge_sign(body, 0, how >> 3 & 1, !(how & 32));
}

static char *choose_text(struct script *script)
{
	size_t len = take(script) % 64;
	char *text;

	len = len < script->left ? len : script->left;
	text = strndup((const char *)script->at, len);
	script->at += len;
	script->left -= len;
	return text;
}

static void choose_file(struct script *script, struct bundle *bundle)
{
	const char *name = names[take(script) % COUNT(names)];
	uint8_t kind = take(script) % 8;
	char *text = kind < 4   ? choose_metadata(script, kind)
		     : kind < 7 ? strdup(texts[take(script) % COUNT(texts)])
				: choose_text(script);

	if (!text || bundle_add(bundle, name, text, strlen(text)) < 0)
		abort();
	free(text);
}

static void choose_files(struct script *script, struct bundle *bundle)
{
	uint8_t count = take(script);

	bundle->max_bytes = 1u << 20;
	if (count == 255) {
		/* Bytes as they stand: no bundle, most likely. */
		bundle->len_bytes = take(script) < script->left ? script->left / 2 : script->left;
		bundle->bytes = malloc(bundle->len_bytes + 1);
		if (!bundle->bytes)
			abort();
		memcpy(bundle->bytes, script->at, bundle->len_bytes);
		script->at += bundle->len_bytes;
		script->left -= bundle->len_bytes;
		return;
	}
	for (count %= FILES_MOST; count; count--)
		choose_file(script, bundle);
}

/* --- what must hold ------------------------------------------------------------------------------
 */

static bool lies_in(const char *bytes, size_t len, const struct signed_bytes *block)
{
	return block->bytes && bytes >= block->bytes &&
	       bytes + len <= block->bytes + block->len_bytes;
}

static void check(const struct signed_input *input, const struct signed_result *result)
{
	if (result->told.trust >= TRUST_COUNT || result->part_count > SIGNED_PARTS_MAX ||
	    result->file_count > STOCK_FILES_MAX ||
	    !memchr(result->told.floor, '\0', sizeof(result->told.floor)))
		abort();
	if (result->told.trust != TRUST_accepted && result->part_count)
		abort();
	if (result->told.trust == TRUST_accepted && !stub_good)
		abort();
	for (uint32_t i = 0; i < result->part_count; i++)
		if (!result->parts[i].name ||
		    (result->parts[i].len &&
		     !lies_in(result->parts[i].text, result->parts[i].len, &input->store) &&
		     !lies_in(result->parts[i].text, result->parts[i].len, &input->bundle)))
			abort();
	for (uint32_t i = 0; i < result->file_count; i++) {
		const struct signed_file *file = &result->files[i];

		if (!file->name[0] || strchr(file->name, '/') || !file->why ||
		    (file->bytes && !lies_in(file->bytes, file->len_bytes, &input->bundle)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_source source = {
		.host = "x", .group_count = 1, .groups = {{.name = "web"}}};
	static struct signed_result result;
	struct script script = {data, size};
	uint8_t how = take(&script);
	char *root = forge_sign(forge_root(1, 1, how & 4), 0, 0, true);
	struct bundle store = {.len_bytes = 0}, bundle = {.len_bytes = 0};
	struct signed_input input = {
		.root = {root, strlen(root)}, .offline = how & 1, .now_s = how & 8 ? 0 : NOW_S};
	int err;

	choose_files(&script, &store);
	choose_files(&script, &bundle);
	input.store = (struct signed_bytes){store.bytes, store.len_bytes};
	if (!input.offline)
		input.bundle = (struct signed_bytes){bundle.bytes, bundle.len_bytes};
	stub_good = 0;
	err = how & 2 ? signed_rc_verify(&input, &result) : signed_verify(&input, &source, &result);
	if (!err)
		check(&input, &result);
	bundle_free(&store);
	bundle_free(&bundle);
	free(root);
	return 0;
}
