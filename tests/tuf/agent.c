/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuf/agent.h"

#include <stdlib.h>
#include <string.h>

#include "rc/base64.h"

/* A test without memory has no result. */
static json_t *need(json_t *value)
{
	if (!value)
		abort();
	return value;
}

static size_t select_keys(const struct agent *agent, unsigned int keys,
			  const struct sign_key *selected[AGENT_KEYS])
{
	size_t count = 0;

	for (unsigned int i = 0; i < AGENT_KEYS; i++)
		if (keys & 1u << i)
			selected[count++] = &agent->keys[i];
	return count;
}

static json_t *head(const char *type, int64_t version)
{
	return need(json_pack("{s:s, s:s, s:I, s:s}", "_type", type, "spec_version", "1.0",
			      "version", (json_int_t)version, "expires", AGENT_FUTURE));
}

void agent_init(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_KEYS; i++)
		sign_key_make(&agent->keys[i]);
	agent->roots = need(json_array());
	agent->files = need(json_object());
	agent->configs = need(json_array());
	agent->targets = head("targets", 1);
	json_object_set_new(agent->targets, "targets", need(json_object()));
	json_object_set_new(agent->targets, "custom",
			    need(json_pack("{s:s}", "opaque_backend_state", "Zm9vYmFy")));
}

void agent_fini(struct agent *agent)
{
	for (size_t i = 0; i < AGENT_KEYS; i++)
		sign_key_free(&agent->keys[i]);
	json_decref(agent->roots);
	json_decref(agent->targets);
	json_decref(agent->files);
	json_decref(agent->configs);
}

json_t *agent_root(const struct agent *agent, int64_t version, unsigned int root_keys,
		   unsigned int targets_keys, int threshold)
{
	const struct sign_key *root[AGENT_KEYS], *targets[AGENT_KEYS];
	size_t roots = select_keys(agent, root_keys, root);
	size_t others = select_keys(agent, targets_keys, targets);
	json_t *body = head("root", version), *keys = need(json_object()), *roles;

	for (size_t i = 0; i < roots; i++)
		sign_put_key(keys, root[i]);
	for (size_t i = 0; i < others; i++)
		sign_put_key(keys, targets[i]);
	roles = need(json_pack("{s:o, s:o, s:o, s:o}", "root", sign_role(root, roots, 1), "targets",
			       sign_role(targets, others, threshold), "snapshot",
			       sign_role(targets, others, 1), "timestamp",
			       sign_role(targets, others, 1)));
	json_object_set_new(body, "keys", keys);
	json_object_set_new(body, "roles", roles);
	json_object_set_new(body, "consistent_snapshot", json_true());
	return body;
}

char *agent_sign(const struct agent *agent, json_t *body, unsigned int keys)
{
	const struct sign_key *selected[AGENT_KEYS];
	size_t count = select_keys(agent, keys, selected);
	char *text = sign_body(body, selected, count);

	json_decref(body);
	return text;
}

static json_t *encode(const char *text)
{
	char *coded = base64_write((const uint8_t *)text, strlen(text));
	json_t *value = need(json_string(coded));

	free(coded);
	return value;
}

void agent_add_root(struct agent *agent, json_t *body, unsigned int keys)
{
	char *text = agent_sign(agent, body, keys);

	json_array_append_new(agent->roots, encode(text));
	free(text);
}

json_t *agent_list(struct agent *agent, const char *path, const char *text, int64_t version)
{
	struct tuf_digest digest;
	char hex[TUF_HEX_MAX];
	json_t *entry;

	if (tuf_digest_of(text, strlen(text), &digest) < 0)
		abort();
	tuf_hex_write(digest.sha256, TUF_SHA256_LEN, hex);
	entry = need(json_pack("{s:I, s:{s:s}, s:{s:I}}", "length", (json_int_t)digest.length,
			       "hashes", "sha256", hex, "custom", "v", (json_int_t)version));
	json_object_set_new(json_object_get(agent->targets, "targets"), path, entry);
	return entry;
}

void agent_add(struct agent *agent, const char *path, const char *text, int64_t version)
{
	agent_list(agent, path, text, version);
	json_object_set_new(agent->files, path, need(json_string(text)));
	json_array_append_new(agent->configs, need(json_string(path)));
}

void agent_set_version(struct agent *agent, int64_t version)
{
	json_object_set_new(agent->targets, "version", need(json_integer(version)));
}

char *agent_answer(const struct agent *agent, unsigned int keys)
{
	char *targets = agent_sign(agent, json_incref(agent->targets), keys), *text;
	json_t *files = need(json_array()), *whole, *raw;
	const char *path;

	json_object_foreach(agent->files, path, raw)
	{
		json_array_append_new(files, need(json_pack("{s:s, s:o}", "path", path, "raw",
							    encode(json_string_value(raw)))));
	}
	whole = need(json_pack("{s:O, s:o, s:o, s:O}", "roots", agent->roots, "targets",
			       encode(targets), "target_files", files, "client_configs",
			       agent->configs));
	text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	free(targets);
	if (!text)
		abort();
	return text;
}
