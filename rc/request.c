/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent is asked. */
#include <stdlib.h>

#include "rc/base64.h"
#include "rc/state.h"
#include "tuf/json.h"

static json_t *pack_products(const struct rc_options *options)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < options->product_count; i++)
		if (json_array_append_new(list, json_string(options->products[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *pack_config_state(const struct rc_file *file)
{
	return json_pack("{s:s, s:I, s:s, s:i, s:s}", "id", file->parts.id, "version",
			 (json_int_t)file->version, "product", file->parts.product, "apply_state",
			 (int)file->state, "apply_error", file->error);
}

static int add_hash(json_t *hashes, const char *algorithm, const uint8_t *hash, size_t len)
{
	char hex[TUF_HEX_MAX];

	tuf_hex_write(hash, len, hex);
	return json_array_append_new(hashes,
				     json_pack("{s:s, s:s}", "algorithm", algorithm, "hash", hex));
}

/* The hashes that targets list: the agent compares with these, and needs one in common. */
static json_t *pack_cached_file(const struct rc_file *file)
{
	const struct tuf_digest *listed = &file->listed;
	json_t *hashes = json_array();

	if ((listed->has_sha256 &&
	     add_hash(hashes, "sha256", listed->sha256, TUF_SHA256_LEN) < 0) ||
	    (listed->has_sha512 &&
	     add_hash(hashes, "sha512", listed->sha512, TUF_SHA512_LEN) < 0)) {
		json_decref(hashes);
		return NULL;
	}
	return json_pack("{s:s, s:I, s:o}", "path", file->path, "length",
			 (json_int_t)listed->length, "hashes", hashes);
}

/* One element for each file in force. */
static json_t *pack_files(const struct set *set, json_t *(*pack)(const struct rc_file *file))
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++)
		if (json_array_append_new(list, pack(&set->files[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *pack_state(const struct rc *rc)
{
	const struct set *set = rc->set;

	return json_pack("{s:I, s:I, s:o, s:b, s:s, s:s}", "root_version",
			 (json_int_t)set->root.version, "targets_version",
			 (json_int_t)set->targets.version, "config_states",
			 pack_files(set, pack_config_state), "has_error", (int)rc->has_error,
			 "error", rc->error, "backend_client_state", state_backend(set));
}

static json_t *pack_tracer(const struct rc_options *options)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "runtime_id", options->ids.runtime,
			 "language", options->language, "tracer_version", options->tracer_version,
			 "service", options->service, "env", options->env, "app_version",
			 options->app_version);
}

static json_t *pack_client(const struct rc *rc)
{
	const struct rc_options *options = &rc->options;
	char *capabilities = base64_write(options->capabilities, options->capabilities_len);
	json_t *client =
		json_pack("{s:s, s:o, s:o, s:b, s:o, s:s}", "id", options->ids.client, "products",
			  pack_products(options), "state", pack_state(rc), "is_tracer", 1,
			  "client_tracer", pack_tracer(options), "capabilities", capabilities);

	free(capabilities);
	return client;
}

/* Into memory of its whole size: jansson leaves out what finds no room while its own grows. */
static char *write_text(const json_t *request)
{
	size_t len = json_dumpb(request, NULL, 0, JSON_COMPACT);
	char *text = len ? malloc(len + 1) : NULL;

	if (!text)
		return NULL;
	if (json_dumpb(request, text, len, JSON_COMPACT) != len) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

char *rc_request(const struct rc *rc)
{
	json_t *request = json_pack("{s:o, s:o}", "client", pack_client(rc), "cached_target_files",
				    pack_files(rc->set, pack_cached_file));
	char *text = request ? write_text(request) : NULL;

	json_decref(request);
	return text;
}
