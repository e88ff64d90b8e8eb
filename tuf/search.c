/* SPDX-License-Identifier: Apache-2.0 */
/* Sections 5.6.7 and 5.7: a target's entry, through the delegations, and its file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"
#include "tuf/state.h"

/* The metadata of roles live as long as the search: their delegations are what it follows. Each
   search verifies them anew, by the keys of who delegates this time. */
void search_end(struct tuf *tuf)
{
	struct search *search = &tuf->search;

	for (uint32_t i = 0; i < search->visited_count; i++) {
		if (search->visited[i]) {
			tuf_metadata_free(search->visited[i]);
			free(search->visited[i]);
		}
	}
	search->visited_count = 0;
	search->next_count = 0;
}

static void on_found(struct tuf *tuf, const json_t *entry)
{
	struct tuf_target *target = &tuf->search.target;
	struct tuf_why why;
	enum tuf_result result = tuf_digest_read(entry, true, &target->digest, &why);

	if (result == TUF_OK && target->digest.length > TUF_FILE_MAX)
		result = tuf_refuse(&why, TUF_TOO_LARGE, "listed with more than %u bytes",
				    TUF_FILE_MAX);
	search_end(tuf); /* the entry is gone with it */
	tuf->url[0] = '\0';
	snprintf(tuf->name, sizeof(tuf->name), "%.200s", target->path);
	if (result == TUF_OK)
		state_fetch_file(tuf);
	else
		state_fail(tuf, &why);
}

static bool was_visited(const struct search *search, const char *role)
{
	for (uint32_t i = 0; i < search->visited_count; i++)
		if (strcmp(search->names[i], role) == 0)
			return true;
	return false;
}

/*
 * Put those that a role delegates the path to on the stack, so that the first comes off first. One
 * that is terminating is the last that is looked at, but for its own delegations.
 */
static void push_delegations(struct search *search, const struct tuf_metadata *metadata)
{
	uint32_t begin = search->next_count, end;
	const json_t *role;

	for (size_t i = 0; (role = tuf_targets_delegation(metadata, i)); i++) {
		if (!tuf_delegation_matches(role, search->target.path))
			continue;
		search->next[search->next_count++] = (struct visit){
			.role = tuf_json_text(role, "name"),
			.delegation = role,
			.keys = &metadata->keys,
		};
		if (json_is_true(json_object_get(role, "terminating"))) {
			uint32_t count = search->next_count - begin;

			memmove(search->next, search->next + begin, count * sizeof(*search->next));
			search->next_count = count;
			begin = 0;
			break;
		}
	}
	for (end = search->next_count; begin + 1 < end; begin++) {
		struct visit swap = search->next[begin];

		search->next[begin] = search->next[--end];
		search->next[end] = swap;
	}
}

/* A bin is always terminating. */
static bool push_bin(struct search *search, const struct tuf_metadata *metadata)
{
	char *name = search->bins[search->visited_count - 1];
	const json_t *bins = tuf_targets_bin(metadata, search->target.path, name);

	if (!bins)
		return false;
	search->next[0] = (struct visit){.role = name, .delegation = bins, .keys = &metadata->keys};
	search->next_count = 1;
	return true;
}

static void visit_next(struct tuf *tuf);

static void look_through(struct tuf *tuf, const struct tuf_metadata *metadata)
{
	const json_t *entry = tuf_targets_listed(metadata, tuf->search.target.path);

	if (entry) {
		on_found(tuf, entry);
		return;
	}
	if (!push_bin(&tuf->search, metadata))
		push_delegations(&tuf->search, metadata);
	visit_next(tuf);
}

/* A role that the snapshot doesn't list is not asked for: nobody vouches for its version. */
static void load_role(struct tuf *tuf)
{
	struct search *search = &tuf->search;
	char name[TUF_PATH_MAX + TUF_NAME_MAX];
	struct tuf_why why;

	state_load(tuf, STEP_LOCAL_ROLE, search->at.role, TUF_TARGETS_MAX);
	snprintf(name, sizeof(name), "%s.json", search->at.role);
	if (tuf_metadata_listed(&tuf->roles[TUF_SNAPSHOT], name, &search->listed) < 0) {
		tuf_refuse(&why, TUF_UNTRUSTED, "delegated to, but not in the snapshot");
		state_fail(tuf, &why);
	}
}

static void visit_next(struct tuf *tuf)
{
	struct search *search = &tuf->search;
	struct tuf_why why;

	while (search->next_count && was_visited(search, search->next[search->next_count - 1].role))
		search->next_count--;
	if (!search->next_count) {
		search_end(tuf);
		state_rest(tuf, STEP_NO_TARGET);
		return;
	}
	search->at = search->next[--search->next_count];
	if (search->visited_count < TUF_VISITED_MAX) {
		load_role(tuf);
		return;
	}
	snprintf(tuf->name, sizeof(tuf->name), "%.200s", search->target.path);
	tuf_refuse(&why, TUF_TOO_LARGE, "more than %u roles to look through", TUF_VISITED_MAX);
	state_fail(tuf, &why);
}

void search_begin(struct tuf *tuf)
{
	struct search *search = &tuf->search;

	search->names[0] = "targets";
	search->visited[0] = NULL;
	search->visited_count = 1;
	look_through(tuf, &tuf->roles[TUF_TARGETS]);
}

/* Read a delegated role and check it by the keys of the one that delegates to it. */
static enum tuf_result read_role(struct tuf *tuf, const struct fed *fed, struct tuf_why *why)
{
	struct search *search = &tuf->search;
	struct tuf_metadata *role = calloc(1, sizeof(*role));
	enum tuf_result result;

	if (!role)
		return tuf_refuse(why, TUF_NO_MEMORY, "out of memory");
	result = state_check_bytes(fed, &search->listed, why);
	if (result == TUF_OK)
		result = tuf_metadata_read(role, TUF_TARGETS, tuf->options.lenience, fed->bytes,
					   fed->len, why);
	if (result == TUF_OK)
		result = tuf_metadata_verify(role, search->at.keys, search->at.delegation, why);
	if (result == TUF_OK)
		result = state_check_listed(role, &search->listed, why);
	if (result == TUF_OK)
		result = state_check_expiry(tuf, role, why);
	if (result != TUF_OK) {
		tuf_metadata_free(role);
		free(role);
		return result;
	}
	search->names[search->visited_count] = search->at.role;
	search->visited[search->visited_count++] = role;
	return TUF_OK;
}

void search_on_role_kept(struct tuf *tuf)
{
	look_through(tuf, tuf->search.visited[tuf->search.visited_count - 1]);
}

void search_on_local_role(struct tuf *tuf, const struct fed *fed)
{
	const struct tuf_listed *listed = &tuf->search.listed;
	size_t max_bytes = TUF_TARGETS_MAX;
	struct tuf_why why;

	if (fed->answer == TUF_ANSWER_OK && read_role(tuf, fed, &why) == TUF_OK) {
		search_on_role_kept(tuf);
		return;
	}
	if (listed->digest.has_length && listed->digest.length < max_bytes)
		max_bytes = listed->digest.length;
	state_fetch(tuf, STEP_REMOTE_ROLE, tuf->search.at.role,
		    state_file_version(tuf, listed->version), max_bytes);
}

void search_on_remote_role(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_why why;

	if (!state_has_bytes(tuf, fed))
		return;
	if (read_role(tuf, fed, &why) != TUF_OK)
		state_fail(tuf, &why);
	else
		state_keep(tuf, tuf->search.at.role, tuf->search.listed.version, fed,
			   STEP_REMOTE_ROLE);
}

void search_on_file(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_digest digest;
	struct tuf_why why;

	if (!state_has_bytes(tuf, fed))
		return;
	if (tuf_digest_of(fed->bytes, fed->len, &digest) < 0) {
		tuf_refuse(&why, TUF_NO_MEMORY, "out of memory");
		state_fail(tuf, &why);
	} else if (!tuf_digest_fits(&digest, &tuf->search.target.digest)) {
		tuf_refuse(&why, TUF_UNTRUSTED, "other length or hash than listed");
		state_fail(tuf, &why);
	} else {
		state_keep_file(tuf, fed);
	}
}
