/* SPDX-License-Identifier: Apache-2.0 */
/* What status, metrics and reports say of the source of configuration, in words. */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

#define WORDS_TIME_MAX    24u
#define WORDS_WARNING_MAX 128u

/* Words for numbers of messages; "unknown" for one that has none. */
const char *words_role(uint32_t role);
const char *words_source_kind(uint32_t kind);
const char *words_poll_result(uint32_t result);
const char *words_trust(uint32_t trust);

/* Whether a source has such a role. */
bool words_has_role(const struct msg_source *source, uint32_t role);

/* Seconds since 1970 as "2026-11-26T08:00:00Z". */
const char *words_time(uint64_t time_s, char out[WORDS_TIME_MAX]);

/* Whether a role of signed configuration has expired, or will soon, in words. */
bool words_expiry_warning(const struct msg_source *source, uint32_t role,
			  char out[WORDS_WARNING_MAX]);

#endif
