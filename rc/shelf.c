/* SPDX-License-Identifier: Apache-2.0 */
#include "rc/shelf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/digest.h"
#include "tuf/json.h"
#include "tuf/metadata.h"

#define HASH_LEN (2 * TUF_SHA256_LEN) /* characters in front of a configuration's path */

/* --- names ---------------------------------------------------------------------------------------
 */

int shelf_name_metadata(const char *role, uint64_t version, char name[SHELF_NAME_MAX])
{
	char url[TUF_URL_MAX];

	return tuf_url_of_role(role, version, url) < 0 ||
			       snprintf(name, SHELF_NAME_MAX, "%s", url) >= (int)SHELF_NAME_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

int shelf_name_file(const struct rc_file *file, char name[SHELF_NAME_MAX])
{
	struct tuf_digest digest;

	if (tuf_digest_of(file->bytes, file->len, &digest) < 0)
		return -ENOMEM;
	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, name);
	name[HASH_LEN] = '.';
	return tuf_name_of_target(file->path, name + HASH_LEN + 1, SHELF_NAME_MAX - HASH_LEN - 1);
}

/* Percent-encoding taken back. Returns 0, or -EPROTO if it is none or too long. */
static int decode(const char *text, char path[TUF_PATH_MAX])
{
	size_t len = 0;

	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;
		char hex[3];

		if (*text == '%') {
			snprintf(hex, sizeof(hex), "%s", text + 1);
			if (strlen(hex) != 2 || tuf_hex_read(hex, &byte, 1) < 0)
				return -EPROTO;
			text += 2;
		}
		if (!byte || len == TUF_PATH_MAX - 1)
			return -EPROTO;
		path[len++] = (char)byte;
	}
	path[len] = '\0';
	return 0;
}

/* --- from files ----------------------------------------------------------------------------------
 */

static struct rc_blob blob_of(const struct stock_file *file)
{
	return (struct rc_blob){.bytes = file->bytes, .len = file->len_bytes};
}

static void read_roots(struct shelf *shelf, const struct stock *store, const struct stock *bundle,
		       uint64_t version)
{
	struct rc_update *update = &shelf->update;
	char name[SHELF_NAME_MAX];

	while (update->root_count < TUF_ROOTS_MAX) {
		const struct stock_file *file = NULL;

		if (shelf_name_metadata("root", ++version, name) == 0)
			file = stock_find(store, name);
		if (!file && bundle)
			file = stock_find(bundle, name);
		if (!file)
			return;
		shelf->roots[update->root_count++] = blob_of(file);
	}
}

static bool is_metadata(const char *name)
{
	static const char end[] = ".json";
	size_t len = strlen(name);

	return len < HASH_LEN && len > strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

static int read_file(struct shelf *shelf, const struct stock_file *file)
{
	struct rc_update *update = &shelf->update;
	size_t at = update->file_count;

	if (at == RC_FILES_MAX)
		return -E2BIG;
	if (strlen(file->name) <= HASH_LEN || file->name[HASH_LEN] != '.' ||
	    decode(file->name + HASH_LEN + 1, shelf->paths[at]) < 0)
		return -EPROTO;
	shelf->files[at] = blob_of(file);
	shelf->files[at].path = shelf->configs[at] = shelf->paths[at];
	update->file_count = update->config_count = at + 1;
	return 0;
}

static void begin(struct shelf *shelf)
{
	memset(&shelf->update, 0, sizeof(shelf->update));
	shelf->update.roots = shelf->roots;
	shelf->update.files = shelf->files;
	shelf->update.configs = shelf->configs;
}

/* Targets, and the files beside them. */
static int read_set(struct shelf *shelf, const struct stock *from, bool in_force)
{
	const struct stock_file *targets = stock_latest(from, "targets.json", in_force);
	int err = 0;

	if (!targets)
		return -ENOENT;
	shelf->update.targets = blob_of(targets);
	for (uint32_t i = 0; i < from->count && !err; i++) {
		const struct stock_file *file = &from->files[i];

		if (!is_metadata(file->name) && (file->in_force || !in_force))
			err = read_file(shelf, file);
	}
	return err;
}

int shelf_read_bundle(struct shelf *shelf, const struct stock *store, const struct stock *bundle,
		      uint64_t root_version)
{
	begin(shelf);
	read_roots(shelf, store, bundle, root_version);
	return read_set(shelf, bundle, false);
}

int shelf_read_store(struct shelf *shelf, struct stock *store, uint64_t root_version)
{
	uint32_t named = stock_mark(store), found = 0;

	begin(shelf);
	if (!named)
		return -ENOENT;
	/* Without the one that is gone the rest would pass for all there is. */
	for (uint32_t i = 0; i < store->count; i++)
		found += store->files[i].in_force;
	if (found != named)
		return -EBADMSG;
	read_roots(shelf, store, NULL, root_version);
	return read_set(shelf, store, true);
}

/* --- to a bundle ---------------------------------------------------------------------------------
 */

static int add_metadata(struct bundle *bundle, const char *role, uint64_t version,
			const struct rc_blob *blob)
{
	char name[SHELF_NAME_MAX];
	int err = shelf_name_metadata(role, version, name);

	return err ? err : bundle_add(bundle, name, blob->bytes, blob->len);
}

static int add_roots(const struct rc *rc, uint64_t newest, struct bundle *bundle)
{
	size_t count = 0;
	int err = 0;

	while (rc_root(rc, count).bytes)
		count++;
	for (size_t i = 1; i < count && !err; i++) {
		const struct rc_blob root = rc_root(rc, i);

		err = add_metadata(bundle, "root", newest - (count - 1 - i), &root);
	}
	return err;
}

int shelf_bundle(const struct rc *rc, struct bundle *bundle)
{
	const struct rc_blob targets = rc_targets(rc);
	const struct rc_file *file;
	struct rc_versions versions;
	char name[SHELF_NAME_MAX];
	int err;

	rc_versions(rc, &versions);
	err = add_roots(rc, versions.root, bundle);
	if (!err && targets.bytes)
		err = add_metadata(bundle, "targets", versions.targets, &targets);
	for (size_t i = 0; (file = rc_file(rc, i)) && !err; i++) {
		err = shelf_name_file(file, name);
		if (!err)
			err = bundle_add(bundle, name, file->bytes, file->len);
	}
	return err;
}

/* --- what is remembered --------------------------------------------------------------------------
 */

static int read_memory(const json_t *object, struct shelf_memory *memory)
{
	const char *keys = tuf_json_text(object, "keys");
	int64_t root, targets;

	if (!keys || strlen(keys) >= sizeof(memory->floor.targets_keys) ||
	    tuf_json_integer(object, "root", 0, TUF_VERSION_MAX, &root) < 0 ||
	    tuf_json_integer(object, "targets", 0, TUF_VERSION_MAX, &targets) < 0 ||
	    tuf_json_integer(object, "time", 0, INT64_MAX, &memory->time_s) < 0)
		return -EPROTO;
	memory->floor.root = (uint64_t)root;
	memory->floor.targets = (uint64_t)targets;
	memcpy(memory->floor.targets_keys, keys, strlen(keys) + 1);
	return 0;
}

void shelf_read_memory(const struct stock *store, struct shelf_memory *memory)
{
	const struct stock_file *file = stock_find(store, "floor");
	struct tuf_why why;
	json_t *object;

	*memory = (struct shelf_memory){.time_s = 0};
	if (!file || tuf_json_parse(file->bytes, file->len_bytes, &object, &why) != TUF_OK)
		return;
	if (read_memory(object, memory) < 0)
		*memory = (struct shelf_memory){.time_s = 0};
	json_decref(object);
}

void shelf_write_memory(const struct shelf_memory *memory, char text[SHELF_FLOOR_MAX])
{
	snprintf(text, SHELF_FLOOR_MAX,
		 "{\"root\":%" PRIu64 ",\"targets\":%" PRIu64 ",\"time\":%" PRId64
		 ",\"keys\":\"%s\"}\n",
		 memory->floor.root, memory->floor.targets, memory->time_s,
		 memory->floor.targets_keys);
}
