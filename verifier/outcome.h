/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of signed configuration, as both kinds of it say it. */
#ifndef VERIFIER_OUTCOME_H
#define VERIFIER_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "tuf/result.h"
#include "verifier/signed.h"

void outcome_tell(struct signed_result *result, enum trust trust, const char *why);
void outcome_refuse(struct signed_result *result, const struct tuf_why *why);

/* As messages have it: 0 for none. */
uint64_t outcome_expiry(int64_t expires_s);

/*
 * A run begins: nothing is accepted yet, and what is stored is read. Returns 0, or a negative errno
 * if it is not what the supervisor sends.
 */
int outcome_begin(struct signed_result *result, const struct signed_input *input,
		  struct stock *store);

/*
 * Read what was fetched. Returns false after telling why nothing of it is looked at: it can't be
 * read, or the clock can't be believed, which is behind this program or behind last_s, when
 * something was accepted last.
 */
bool outcome_read_bundle(struct signed_result *result, const struct signed_input *input,
			 int64_t last_s, struct stock *bundle);

/*
 * Have the store keep a file; one that is listed already only gains a reason. fetched: it came,
 * NULL if it is there. Without room for it nothing is accepted: outcome_settle().
 */
void outcome_list_file(struct signed_result *result, const char *name, uint32_t why,
		       const struct stock_file *fetched);

/* What is stored and marked as in force, and the roots: behind what came, which replaces it. */
void outcome_list_stored(struct signed_result *result, const struct stock *store);

/* All files are listed. Returns whether it is accepted; what is not has no parts. */
bool outcome_settle(struct signed_result *result);

#endif
