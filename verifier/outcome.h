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
 * Whether the clock can be believed: it is not behind this program, nor behind the time at which
 * something was accepted last. If not, that is told.
 */
bool outcome_check_clock(struct signed_result *result, int64_t now_s, int64_t last_s);

/*
 * Have the store keep a file; one that is listed already only gains a reason. fetched: it came,
 * NULL if it is there. Returns false if there is no room.
 */
bool outcome_list_file(struct signed_result *result, const char *name, uint32_t why,
		       const struct stock_file *fetched);

/* What is stored and marked as in force, and the roots: behind what came, which replaces it. */
bool outcome_list_stored(struct signed_result *result, const struct stock *store);

#endif
