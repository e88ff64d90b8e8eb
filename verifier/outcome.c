/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/outcome.h"

#include <stdio.h>
#include <string.h>

/* A clock is corrected now and then: only further back than this is suspect. */
#define CLOCK_BACK_S 60

static const enum trust trusts[TUF_RESULTS] = {
	[TUF_OK] = TRUST_accepted,
	[TUF_MALFORMED] = TRUST_malformed,
	[TUF_UNTRUSTED] = TRUST_untrusted,
	[TUF_ROLLBACK] = TRUST_rollback,
	[TUF_EXPIRED] = TRUST_expired,
	[TUF_TOO_LARGE] = TRUST_too_large,
	[TUF_UNREACHABLE] = TRUST_incomplete,
	[TUF_UNSTORED] = TRUST_too_large,
	[TUF_NO_MEMORY] = TRUST_failed,
};

void outcome_tell(struct signed_result *result, enum trust trust, const char *why)
{
	result->told.trust = trust;
	snprintf(result->told.why, sizeof(result->told.why), "%.255s", why);
}

void outcome_refuse(struct signed_result *result, const struct tuf_why *why)
{
	outcome_tell(result, trusts[why->result], why->text);
}

uint64_t outcome_expiry(int64_t expires_s)
{
	return expires_s > 0 ? (uint64_t)expires_s : 0;
}

static bool check_clock(struct signed_result *result, int64_t now_s, int64_t last_s)
{
	const char *what = now_s < BUILT_S                 ? "this program was built"
			   : now_s < last_s - CLOCK_BACK_S ? "it last accepted something"
							   : NULL;
	char why[MSG_TEXT_MAX];

	if (!what)
		return true;
	snprintf(why, sizeof(why),
		 "this host's clock is behind the time at which %s: nothing new is accepted "
		 "until it is right",
		 what);
	outcome_tell(result, TRUST_clock, why);
	return false;
}

int outcome_begin(struct signed_result *result, const struct signed_input *input,
		  struct stock *store)
{
	memset(result, 0, sizeof(*result));
	outcome_tell(result, TRUST_failed, "out of memory");
	return stock_read(store, input->store.bytes, input->store.len_bytes);
}

bool outcome_read_bundle(struct signed_result *result, const struct signed_input *input,
			 int64_t last_s, struct stock *bundle)
{
	if (stock_read(bundle, input->bundle.bytes, input->bundle.len_bytes) == 0)
		return check_clock(result, input->now_s, last_s);
	outcome_tell(result, TRUST_malformed, "what the poller sent is no bundle");
	return false;
}

void outcome_list_file(struct signed_result *result, const char *name, uint32_t why,
		       const struct stock_file *fetched)
{
	struct signed_file *file;

	for (uint32_t i = 0; i < result->file_count; i++) {
		file = &result->files[i];
		if (strcmp(file->name, name) != 0)
			continue;
		file->why |= why;
		return;
	}
	if (result->file_count == STOCK_FILES_MAX || strlen(name) >= MSG_FILE_NAME_MAX) {
		result->full = true;
		return;
	}
	file = &result->files[result->file_count++];
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->why = why;
	file->bytes = fetched ? fetched->bytes : NULL;
	file->len_bytes = fetched ? fetched->len_bytes : 0;
}

void outcome_list_stored(struct signed_result *result, const struct stock *store)
{
	for (uint32_t i = 0; i < store->count; i++) {
		const struct stock_file *file = &store->files[i];

		if (stock_is_root(file->name))
			outcome_list_file(result, file->name, FILE_LATEST, NULL);
		else if (file->in_force)
			outcome_list_file(result, file->name, FILE_IN_FORCE, NULL);
	}
}

bool outcome_settle(struct signed_result *result)
{
	if (result->told.trust == TRUST_accepted && result->full)
		outcome_tell(result, TRUST_too_large,
			     "more files than there is room for: install a newer root");
	if (result->told.trust != TRUST_accepted)
		result->part_count = 0;
	return result->told.trust == TRUST_accepted;
}
