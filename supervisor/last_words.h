/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a child's end, for whoever looks for the cause. */
#ifndef SUPERVISOR_LAST_WORDS_H
#define SUPERVISOR_LAST_WORDS_H

#include <signal.h>
#include <sys/resource.h>

#include "common/proto.h"

struct last_words {
	int code; /* siginfo_t's si_code and si_status */
	int status;
	enum phase phase;   /* it ended in */
	const char *step;   /* the last that it reported; NULL = none */
	uint64_t lasted_ns; /* from its start to its end */
	struct rusage usage;
};

/* One line: "SIGSEGV while running, after 12.3 s, last step sandbox; 45 ms of ...". */
void last_words_text(const struct last_words *words, char *text, size_t cap);

#endif
