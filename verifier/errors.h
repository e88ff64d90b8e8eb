/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration: every finding, with file and line, not only the first. */
#ifndef VERIFIER_ERRORS_H
#define VERIFIER_ERRORS_H

#include <stdint.h>

#include "common/msg.h"

/* Bytes that errors_quote() needs. */
#define ERRORS_QUOTE_MAX 48u

struct errors {
	const char *file; /* of the text being checked now; the caller's */
	uint32_t total;   /* found, also those beyond the room of list */
	uint32_t count;   /* in list */
	struct msg_error list[MSG_ERRORS_MAX];
};

/* Note one finding in errors->file; line counts from 1, 0 = the whole file. */
void errors_add(struct errors *errors, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A value from outside as it may stand in a reason: short enough, cut between characters. Other
 * bytes stay as they are: whoever prints a reason escapes it. Returns out.
 */
const char *errors_quote(const char *text, char out[ERRORS_QUOTE_MAX]);

#endif
