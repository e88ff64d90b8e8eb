/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent answers: JSON whose bytes are base64. */
#include <errno.h>
#include <stdlib.h>

#include "rc/base64.h"
#include "rc/state.h"
#include "tuf/json.h"

/* An answer taken apart; blobs are malloc'ed, paths belong to the JSON. */
struct answer {
	json_t *whole;
	struct rc_blob *roots, *files;
	const char **configs;
	struct rc_update update;
	struct tuf_why *why;
};

static enum tuf_result malformed(struct answer *answer, const char *name, const char *what)
{
	return tuf_refuse(answer->why, TUF_MALFORMED, "%s: %s", name, what);
}

/* A member; null stands for none, as who has nothing to list may write it. */
static const json_t *member(const struct answer *answer, const char *name)
{
	const json_t *value = json_object_get(answer->whole, name);

	return json_is_null(value) ? NULL : value;
}

/* A list, and room for its elements of a size, one at least: calloc'ed, NULL if it is refused. */
static void *open_list(struct answer *answer, const char *name, size_t size, const json_t **list)
{
	void *room;

	*list = member(answer, name);
	if (*list && !json_is_array(*list)) {
		malformed(answer, name, "not a list");
		return NULL;
	}
	if (json_array_size(*list) > RC_LISTED_MAX) {
		tuf_refuse(answer->why, TUF_TOO_LARGE, "%s: more than %u", name, RC_LISTED_MAX);
		return NULL;
	}
	room = calloc(json_array_size(*list) + 1, size);
	if (!room)
		tuf_refuse(answer->why, TUF_NO_MEMORY, "out of memory");
	return room;
}

static enum tuf_result take_bytes(struct answer *answer, const char *name, const json_t *text,
				  size_t max_bytes, struct rc_blob *blob)
{
	char *bytes = NULL;
	size_t len = 0;
	int err = -EINVAL;

	if (json_is_string(text))
		err = base64_read(json_string_value(text), json_string_length(text), max_bytes,
				  &bytes, &len);
	blob->bytes = bytes;
	blob->len = len;
	if (err == -EFBIG)
		return tuf_refuse(answer->why, TUF_TOO_LARGE, "%s: larger than %zu bytes", name,
				  max_bytes);
	if (err == -ENOMEM)
		return tuf_refuse(answer->why, TUF_NO_MEMORY, "out of memory");
	return err ? malformed(answer, name, "not base64") : TUF_OK;
}

static enum tuf_result take_roots(struct answer *answer)
{
	const json_t *list;
	enum tuf_result result = TUF_OK;

	answer->roots = open_list(answer, "roots", sizeof(*answer->roots), &list);
	if (!answer->roots)
		return answer->why->result;
	for (size_t i = 0; i < json_array_size(list) && result == TUF_OK; i++)
		result = take_bytes(answer, "roots", json_array_get(list, i), TUF_ROOT_MAX,
				    &answer->roots[answer->update.root_count++]);
	answer->update.roots = answer->roots;
	return result;
}

static enum tuf_result take_targets(struct answer *answer)
{
	const json_t *targets = member(answer, "targets");

	if (!targets)
		return malformed(answer, "targets", "not there, but something else is");
	return take_bytes(answer, "targets", targets, TUF_TARGETS_MAX, &answer->update.targets);
}

static enum tuf_result take_file(struct answer *answer, const json_t *file)
{
	const char *path = tuf_json_text(file, "path");
	struct rc_blob *blob = &answer->files[answer->update.file_count];

	if (!path)
		return malformed(answer, "target_files", "one lacks its path");
	if (state_find_blob(answer->files, answer->update.file_count, path))
		return malformed(answer, "target_files", "a path twice");
	blob->path = path;
	answer->update.file_count++;
	return take_bytes(answer, "target_files", json_object_get(file, "raw"), TUF_FILE_MAX, blob);
}

static enum tuf_result take_files(struct answer *answer)
{
	const json_t *list;
	enum tuf_result result = TUF_OK;

	answer->files = open_list(answer, "target_files", sizeof(*answer->files), &list);
	if (!answer->files)
		return answer->why->result;
	for (size_t i = 0; i < json_array_size(list) && result == TUF_OK; i++)
		result = take_file(answer, json_array_get(list, i));
	answer->update.files = answer->files;
	return result;
}

static enum tuf_result take_configs(struct answer *answer)
{
	const json_t *list;
	enum tuf_result result = TUF_OK;

	answer->configs = open_list(answer, "client_configs", sizeof(*answer->configs), &list);
	if (!answer->configs)
		return answer->why->result;
	for (size_t i = 0; i < json_array_size(list) && result == TUF_OK; i++) {
		const char *path = json_string_value(json_array_get(list, i));

		if (!path)
			result = malformed(answer, "client_configs", "not a list of paths");
		answer->configs[answer->update.config_count++] = path;
	}
	answer->update.configs = answer->configs;
	return result;
}

static void free_blobs(const struct rc_blob *blobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)blobs[i].bytes);
}

static void free_answer(struct answer *answer)
{
	free_blobs(answer->roots, answer->update.root_count);
	free_blobs(answer->files, answer->update.file_count);
	free_blobs(&answer->update.targets, 1);
	free(answer->roots);
	free(answer->files);
	free(answer->configs);
	json_decref(answer->whole);
}

static bool is_empty(const json_t *value)
{
	if (json_is_array(value))
		return json_array_size(value) == 0;
	return !value || (json_is_string(value) && json_string_length(value) == 0);
}

/* Whether it says that there is nothing new: none of what it could hold is in it. */
static bool says_nothing(const struct answer *answer)
{
	static const char *const names[] = {"roots", "targets", "target_files", "client_configs"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!is_empty(member(answer, names[i])))
			return false;
	return true;
}

static enum tuf_result take_all(struct answer *answer)
{
	static enum tuf_result (*const steps[])(struct answer * answer) = {
		take_roots, take_targets, take_files, take_configs};
	enum tuf_result result = TUF_OK;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && result == TUF_OK; i++)
		result = steps[i](answer);
	return result;
}

static enum tuf_result take_body(struct rc *rc, const struct rc_answer *from, bool *nothing,
				 struct tuf_why *why)
{
	struct answer answer = {.why = why};
	enum tuf_result result;

	if (from->len > RC_ANSWER_MAX)
		return tuf_refuse(why, TUF_TOO_LARGE, "larger than %llu bytes", RC_ANSWER_MAX);
	result = tuf_json_parse(from->bytes, from->len, &answer.whole, why);
	*nothing = result == TUF_OK && says_nothing(&answer);
	if (result == TUF_OK && !*nothing)
		result = take_all(&answer);
	if (result == TUF_OK && !*nothing)
		result = rc_apply(rc, &answer.update, from->now_s, why);
	free_answer(&answer);
	return result;
}

enum rc_outcome rc_feed(struct rc *rc, const struct rc_answer *answer, struct tuf_why *why)
{
	bool nothing = false;

	switch (answer->status) {
	case 200:
		break;
	case 204:
		return RC_NOTHING;
	case 404:
	case 410:
	case 501:
		tuf_refuse(why, TUF_UNREACHABLE,
			   "status %u: remote configuration is not enabled in this agent",
			   answer->status);
		return RC_UNIMPLEMENTED;
	default:
		tuf_refuse(why, TUF_UNREACHABLE, "status %u", answer->status);
		return RC_UNREACHABLE;
	}
	if (take_body(rc, answer, &nothing, why) == TUF_OK)
		return nothing ? RC_NOTHING : RC_ACCEPTED;
	rc->has_error = true;
	state_put_text(rc->error, why->text);
	return RC_REFUSED;
}
