/* SPDX-License-Identifier: Apache-2.0 */
/* Sections 5.2 and 5.3 of the specification: the chain of roots. */
#include <inttypes.h>

#include "tuf/state.h"

enum tuf_result state_read_by_root(const struct tuf_metadata *root, struct tuf_metadata *metadata,
				   enum tuf_kind kind, const struct fed *fed, struct tuf_why *why)
{
	enum tuf_result result =
		tuf_metadata_read(metadata, kind, root->lenience, fed->bytes, fed->len, why);

	return result == TUF_OK ? tuf_metadata_verify(metadata, &root->keys,
						      tuf_root_role(root, tuf_kind_name(kind)), why)
				: result;
}

void state_accept(struct tuf *tuf, struct tuf_metadata *metadata)
{
	tuf_metadata_free(&tuf->roles[metadata->kind]);
	tuf->roles[metadata->kind] = *metadata;
}

void refresh_next_root(struct tuf *tuf)
{
	struct tuf_why why;

	if (tuf->roots == TUF_ROOTS_MAX) {
		tuf_refuse(&why, TUF_TOO_LARGE,
			   "more than %u new roots in one run: the next run goes on from here",
			   TUF_ROOTS_MAX);
		state_fail(tuf, &why);
		return;
	}
	state_fetch(tuf, STEP_REMOTE_ROOT, "root", tuf->roles[TUF_ROOT].version + 1, TUF_ROOT_MAX);
}

/* Neither its expiry nor the clock matters: it is what the newer ones are verified by. */
void refresh_on_local_root(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_metadata root = {.whole = NULL};
	struct tuf_why why;

	if (fed->answer != TUF_ANSWER_OK) {
		tuf_refuse(&why, TUF_UNTRUSTED,
			   fed->answer == TUF_ANSWER_ABSENT
				   ? "no trusted root here: it must be installed first"
				   : "the trusted root can't be read");
		state_fail(tuf, &why);
		return;
	}
	if (tuf_root_read(&root, NULL, tuf->options.lenience, fed->bytes, fed->len, &why) !=
	    TUF_OK) {
		tuf_metadata_free(&root);
		state_fail(tuf, &why);
		return;
	}
	state_accept(tuf, &root);
	refresh_next_root(tuf);
}

static void end_roots(struct tuf *tuf)
{
	const struct tuf_metadata *root = &tuf->roles[TUF_ROOT];
	struct tuf_why why;
	enum tuf_result result;

	tuf->url[0] = '\0';
	result = state_check_expiry(tuf, root, &why);
	if (result == TUF_OK && root->version < tuf->options.floor.root)
		result = tuf_refuse(&why, TUF_ROLLBACK,
				    "version %" PRIu64 ", but %" PRIu64 " was seen before",
				    root->version, tuf->options.floor.root);
	if (result == TUF_OK)
		state_load(tuf, STEP_LOCAL_TIMESTAMP, "timestamp", TUF_TIMESTAMP_MAX);
	else
		state_fail(tuf, &why);
}

void refresh_on_remote_root(struct tuf *tuf, const struct fed *fed)
{
	struct tuf_metadata root = {.whole = NULL};
	struct tuf_why why;

	if (fed->answer == TUF_ANSWER_ABSENT) {
		end_roots(tuf);
		return;
	}
	if (!state_has_bytes(tuf, fed))
		return;
	if (tuf_root_read(&root, &tuf->roles[TUF_ROOT], tuf->options.lenience, fed->bytes, fed->len,
			  &why) != TUF_OK) {
		tuf_metadata_free(&root);
		state_fail(tuf, &why);
		return;
	}
	state_accept(tuf, &root);
	tuf->roots++;
	state_keep(tuf, "root", root.version, fed, STEP_REMOTE_ROOT);
}
