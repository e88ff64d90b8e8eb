/* SPDX-License-Identifier: Apache-2.0 */
/* From what came to what is in force: a new set beside the old one, which takes its place when all
   of it is verified. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rc/state.h"
#include "tuf/json.h"

/* An update under way. */
struct apply {
	struct rc *rc;
	const struct rc_update *update;
	int64_t now_s;
	struct set *set; /* to be; its root is not there as long as the old one's is the newest */
	struct tuf_why *why;
};

static enum tuf_result no_memory(struct apply *apply)
{
	return tuf_refuse(apply->why, TUF_NO_MEMORY, "out of memory");
}

/* Put what was the matter with something behind its name. */
static enum tuf_result name_it(struct apply *apply, enum tuf_result result, const char *name)
{
	struct tuf_why inner = *apply->why;

	return result == TUF_OK
		       ? TUF_OK
		       : tuf_refuse(apply->why, result, "%.200s: %.150s", name, inner.text);
}

static enum tuf_result check_expiry(struct apply *apply, const struct tuf_metadata *metadata)
{
	if (apply->now_s < metadata->expires_s)
		return TUF_OK;
	return tuf_refuse(apply->why, TUF_EXPIRED, "expired on %s",
			  tuf_json_text(metadata->body, "expires"));
}

/* --- roots ---------------------------------------------------------------------------------------
 */

static const struct tuf_metadata *newest_root(const struct apply *apply)
{
	const struct tuf_metadata *new = &apply->set->root;

	return new->whole ? new : &apply->rc->set->root;
}

static enum tuf_result accept_root(struct apply *apply, const struct tuf_metadata *root,
				   const struct rc_blob *blob)
{
	struct rc *rc = apply->rc;
	enum tuf_result result;

	if (rc->root_count > TUF_ROOTS_MAX)
		return tuf_refuse(apply->why, TUF_TOO_LARGE, "more than %u since the trusted one",
				  TUF_ROOTS_MAX);
	result = tuf_root_verify(root, newest_root(apply), apply->why);
	if (result != TUF_OK)
		return result;
	return state_add_root(rc, blob->bytes, blob->len) < 0 ? no_memory(apply) : TUF_OK;
}

/* One that is known already is passed over: an agent may send those, too. */
static enum tuf_result follow_root(struct apply *apply, const struct rc_blob *blob)
{
	struct tuf_metadata root;
	enum tuf_result result =
		tuf_metadata_read(&root, TUF_ROOT, RC_LENIENCE, blob->bytes, blob->len, apply->why);
	bool known = result == TUF_OK && root.version <= newest_root(apply)->version;

	if (result == TUF_OK && !known)
		result = accept_root(apply, &root, blob);
	if (result != TUF_OK || known) {
		tuf_metadata_free(&root);
		return result;
	}
	tuf_metadata_free(&apply->set->root);
	apply->set->root = root;
	return TUF_OK;
}

/* Only the last one's expiry matters. */
static enum tuf_result follow_roots(struct apply *apply)
{
	const struct rc_update *update = apply->update;
	const struct tuf_metadata *root;
	enum tuf_result result = TUF_OK;

	for (size_t i = 0; i < update->root_count && result == TUF_OK; i++)
		result = follow_root(apply, &update->roots[i]);
	root = newest_root(apply);
	if (result == TUF_OK && root->version < apply->rc->floor.root)
		result = tuf_refuse(apply->why, TUF_ROLLBACK,
				    "version %" PRIu64 ", but %" PRIu64 " was seen before",
				    root->version, apply->rc->floor.root);
	if (result == TUF_OK)
		result = check_expiry(apply, root);
	return name_it(apply, result, "root");
}

/* --- targets -------------------------------------------------------------------------------------
 */

static int identify_targets_keys(const struct tuf_metadata *root, char id[2 * TUF_SHA256_LEN + 1])
{
	return tuf_key_id(tuf_root_role(root, "targets"), id);
}

/* The lowest version that may come: replaced keys say nothing about versions before. */
static enum tuf_result find_floor(struct apply *apply, uint64_t *lowest)
{
	const struct rc_floor *floor = &apply->rc->floor;
	char keys[sizeof(floor->targets_keys)];

	if (identify_targets_keys(newest_root(apply), keys) < 0)
		return no_memory(apply);
	*lowest = strcmp(keys, floor->targets_keys) == 0 ? floor->targets : 0;
	return TUF_OK;
}

static enum tuf_result take_targets(struct apply *apply)
{
	const struct rc_blob *blob = &apply->update->targets;
	const struct tuf_metadata *root = newest_root(apply);
	struct bytes *bytes = &apply->set->targets_bytes;
	struct tuf_metadata *targets = &apply->set->targets;
	uint64_t lowest = 0;
	enum tuf_result result = tuf_metadata_read(targets, TUF_TARGETS, RC_LENIENCE, blob->bytes,
						   blob->len, apply->why);

	if (result == TUF_OK)
		result = tuf_metadata_verify(targets, &root->keys, tuf_root_role(root, "targets"),
					     apply->why);
	if (result == TUF_OK)
		result = find_floor(apply, &lowest);
	if (result == TUF_OK && targets->version < lowest)
		result = tuf_refuse(apply->why, TUF_ROLLBACK,
				    "version %" PRIu64 ", but %" PRIu64 " was seen before",
				    targets->version, lowest);
	if (result == TUF_OK)
		result = check_expiry(apply, targets);
	bytes->len = blob->len;
	bytes->bytes = state_copy(blob->bytes, blob->len);
	if (result == TUF_OK && !bytes->bytes)
		result = no_memory(apply);
	return name_it(apply, result, "targets");
}

/* --- files ---------------------------------------------------------------------------------------
 */

static const struct rc_file *find_file(const struct set *set, const char *path)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->files[i].path, path) == 0)
			return &set->files[i];
	return NULL;
}

static bool fits(const void *bytes, size_t len, const struct tuf_digest *listed)
{
	struct tuf_digest digest;

	return tuf_digest_of(bytes, len, &digest) == 0 && tuf_digest_fits(&digest, listed);
}

/* What targets and the path itself say of a file. */
static enum tuf_result describe(struct apply *apply, const char *path, struct rc_file *file)
{
	const json_t *entry = tuf_targets_listed(&apply->set->targets, path);
	int64_t version;
	enum tuf_result result;

	if (!entry)
		return tuf_refuse(apply->why, TUF_UNTRUSTED, "not in targets");
	if (rc_path_read(path, &file->parts) < 0)
		return tuf_refuse(apply->why, TUF_MALFORMED,
				  "not datadog/ORGANISATION/PRODUCT/ID/NAME nor "
				  "employee/PRODUCT/ID/NAME");
	if (state_product(apply->rc, file->parts.product) < 0)
		return tuf_refuse(apply->why, TUF_UNTRUSTED, "of a product that was not asked for");
	result = tuf_digest_read(entry, true, &file->listed, apply->why);
	if (result != TUF_OK)
		return result;
	if (tuf_json_integer(json_object_get(entry, "custom"), "v", 0, TUF_VERSION_MAX, &version) <
	    0)
		return tuf_refuse(apply->why, TUF_MALFORMED, "custom.v: not a version");
	memcpy(file->path, path, strlen(path) + 1);
	file->version = (uint64_t)version;
	return TUF_OK;
}

/* Its bytes: those in force if they are what is listed, else those that came. */
static enum tuf_result fill(struct apply *apply, struct rc_file *file)
{
	const struct rc_file *old = find_file(apply->rc->set, file->path);
	const struct rc_blob *raw =
		state_find_blob(apply->update->files, apply->update->file_count, file->path);
	bool same = old && fits(old->bytes, old->len, &file->listed);

	if (!same && !raw)
		return tuf_refuse(apply->why, TUF_UNTRUSTED, "the file itself is missing");
	if (!same && !fits(raw->bytes, raw->len, &file->listed))
		return tuf_refuse(apply->why, TUF_UNTRUSTED, "other length or hash than listed");
	file->len = same ? old->len : raw->len;
	if (file->len > RC_BYTES_MAX - apply->set->bytes)
		return tuf_refuse(apply->why, TUF_TOO_LARGE,
				  "with it the files are larger than %u bytes", RC_BYTES_MAX);
	file->bytes = state_copy(same ? old->bytes : raw->bytes, file->len);
	if (!file->bytes)
		return no_memory(apply);
	file->state = RC_UNACKNOWLEDGED;
	if (same) {
		file->state = old->state;
		memcpy(file->error, old->error, sizeof(file->error));
	}
	return TUF_OK;
}

static enum tuf_result take_file(struct apply *apply, const char *path)
{
	struct set *set = apply->set;
	struct rc_file *file;
	enum tuf_result result;

	if (set->count == RC_FILES_MAX)
		return tuf_refuse(apply->why, TUF_TOO_LARGE, "client_configs: more than %u",
				  RC_FILES_MAX);
	if (find_file(set, path))
		return tuf_refuse(apply->why, TUF_MALFORMED, "client_configs: %.200s twice", path);
	file = &set->files[set->count];
	result = describe(apply, path, file);
	if (result == TUF_OK)
		result = fill(apply, file);
	set->count += result == TUF_OK;
	set->bytes += result == TUF_OK ? file->len : 0;
	return name_it(apply, result, path);
}

static int by_path(const void *a, const void *b)
{
	const struct rc_file *one = a, *other = b;

	return strcmp(one->path, other->path);
}

/* --- the whole -----------------------------------------------------------------------------------
 */

/* The products of files in one set that the other hasn't got, or not with these bytes. */
static uint32_t compare(const struct rc *rc, const struct set *set, const struct set *other)
{
	uint32_t products = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct rc_file *file = &set->files[i];
		const struct rc_file *found = find_file(other, file->path);

		if (!found || found->len != file->len ||
		    memcmp(found->bytes, file->bytes, file->len) != 0)
			products |= 1u << state_product(rc, file->parts.product);
	}
	return products;
}

static enum tuf_result verify(struct apply *apply)
{
	const struct rc_update *update = apply->update;
	enum tuf_result result = follow_roots(apply);

	if (result == TUF_OK)
		result = take_targets(apply);
	for (size_t i = 0; i < update->config_count && result == TUF_OK; i++)
		result = take_file(apply, update->configs[i]);
	return result;
}

static void commit(struct rc *rc, struct set *set)
{
	struct set *old = rc->set;

	qsort(set->files, set->count, sizeof(set->files[0]), by_path);
	rc->changed = compare(rc, set, old) | compare(rc, old, set);
	if (!set->root.whole) {
		set->root = old->root;
		old->root = (struct tuf_metadata){.whole = NULL};
	}
	rc->set = set;
	state_free_set(old);
	rc->has_error = false;
	rc->error[0] = '\0';
	rc->floor.root = set->root.version;
	rc->floor.targets = set->targets.version;
}

enum tuf_result rc_apply(struct rc *rc, const struct rc_update *update, int64_t now_s,
			 struct tuf_why *why)
{
	struct apply apply = {
		.rc = rc,
		.update = update,
		.now_s = now_s,
		.set = calloc(1, sizeof(*apply.set)),
		.why = why,
	};
	const size_t root_count = rc->root_count;
	char keys[sizeof(rc->floor.targets_keys)];
	enum tuf_result result;

	if (!apply.set)
		return no_memory(&apply);
	result = verify(&apply);
	if (result == TUF_OK && identify_targets_keys(newest_root(&apply), keys) < 0)
		result = no_memory(&apply);
	if (result != TUF_OK) {
		state_free_set(apply.set);
		state_cut_roots(rc, root_count);
		return result;
	}
	memcpy(rc->floor.targets_keys, keys, sizeof(keys));
	commit(rc, apply.set);
	return TUF_OK;
}
