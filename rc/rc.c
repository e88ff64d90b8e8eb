/* SPDX-License-Identifier: Apache-2.0 */
#include "rc/rc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rc/state.h"
#include "tuf/json.h"

void rc_ids_make(const uint8_t random[RC_RANDOM_LEN], struct rc_ids *ids)
{
	static const char alphabet[] =
		"_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	const size_t len = sizeof(ids->client) - 1;
	uint8_t uuid[16];
	char hex[2 * sizeof(uuid) + 1];

	_Static_assert(sizeof(alphabet) - 1 == 64, "six bits each");
	_Static_assert(sizeof(ids->client) - 1 + sizeof(uuid) == RC_RANDOM_LEN, "bytes drawn");
	for (size_t i = 0; i < len; i++)
		ids->client[i] = alphabet[random[i] & 63];
	ids->client[len] = '\0';
	memcpy(uuid, random + len, sizeof(uuid));
	/* RFC 9562, section 5.4 */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	tuf_hex_write(uuid, sizeof(uuid), hex);
	snprintf(ids->runtime, sizeof(ids->runtime), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
		 hex + 12, hex + 16, hex + 20);
}

char *state_copy(const void *bytes, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		if (len)
			memcpy(copy, bytes, len);
		copy[len] = '\0';
	}
	return copy;
}

int state_add_root(struct rc *rc, const void *bytes, size_t len)
{
	struct bytes *root = &rc->roots[rc->root_count];

	root->bytes = state_copy(bytes, len);
	root->len = len;
	if (!root->bytes)
		return -ENOMEM;
	rc->root_count++;
	return 0;
}

void state_cut_roots(struct rc *rc, size_t count)
{
	while (rc->root_count > count)
		free(rc->roots[--rc->root_count].bytes);
}

void state_free_set(struct set *set)
{
	if (!set)
		return;
	tuf_metadata_free(&set->root);
	tuf_metadata_free(&set->targets);
	free(set->targets_bytes.bytes);
	for (size_t i = 0; i < set->count; i++)
		free(set->files[i].bytes);
	free(set);
}

void state_put_text(char out[RC_ERROR_MAX], const char *text)
{
	size_t at = 0;

	for (; at < RC_ERROR_MAX - 1 && text[at]; at++) {
		unsigned char c = (unsigned char)text[at];

		out[at] = text[at];
		if (c < 0x20 || c >= 0x7f)
			out[at] = '?';
	}
	out[at] = '\0';
}

const struct rc_blob *state_find_blob(const struct rc_blob *blobs, size_t count, const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(blobs[i].path, path) == 0)
			return &blobs[i];
	return NULL;
}

const char *state_backend(const struct set *set)
{
	const json_t *custom = json_object_get(set->targets.body, "custom");
	const char *text = tuf_json_text(custom, "opaque_backend_state");

	return text ? text : "";
}

int state_product(const struct rc *rc, const char *product)
{
	for (uint32_t i = 0; i < rc->options.product_count; i++)
		if (strcmp(rc->options.products[i], product) == 0)
			return (int)i;
	return -1;
}

struct rc *rc_new(const struct rc_options *options, const void *root, size_t root_len,
		  struct tuf_why *why)
{
	struct rc *rc = calloc(1, sizeof(*rc));
	bool made;

	if (!rc) {
		tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
		return NULL;
	}
	rc->options = *options;
	rc->floor = options->floor;
	rc->set = calloc(1, sizeof(*rc->set));
	made = rc->set && state_add_root(rc, root, root_len) == 0;
	if (!made)
		tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	if (made && tuf_root_read(&rc->set->root, NULL, RC_LENIENCE, root, root_len, why) == TUF_OK)
		return rc;
	rc_free(rc);
	return NULL;
}

void rc_free(struct rc *rc)
{
	if (!rc)
		return;
	state_cut_roots(rc, 0);
	state_free_set(rc->set);
	free(rc);
}

uint32_t rc_changed(const struct rc *rc)
{
	return rc->changed;
}

const struct rc_file *rc_file(const struct rc *rc, size_t index)
{
	return index < rc->set->count ? &rc->set->files[index] : NULL;
}

void rc_note(struct rc *rc, const char *product, enum rc_state state, const char *error)
{
	for (size_t i = 0; i < rc->set->count; i++) {
		struct rc_file *file = &rc->set->files[i];

		if (strcmp(file->parts.product, product) != 0)
			continue;
		file->state = state;
		state_put_text(file->error, error);
	}
}

struct rc_blob rc_root(const struct rc *rc, size_t index)
{
	if (index >= rc->root_count)
		return (struct rc_blob){.bytes = NULL};
	return (struct rc_blob){.bytes = rc->roots[index].bytes, .len = rc->roots[index].len};
}

struct rc_blob rc_targets(const struct rc *rc)
{
	const struct bytes *targets = &rc->set->targets_bytes;

	return (struct rc_blob){.bytes = targets->bytes, .len = targets->len};
}

void rc_versions(const struct rc *rc, struct rc_versions *versions)
{
	const struct tuf_metadata *root = &rc->set->root;
	const struct tuf_metadata *targets = &rc->set->targets;

	*versions = (struct rc_versions){
		.root = root->version,
		.targets = targets->version,
		.root_expires_s = root->expires_s,
		.targets_expires_s = targets->expires_s,
	};
}

void rc_floor(const struct rc *rc, struct rc_floor *floor)
{
	*floor = rc->floor;
}
