/* SPDX-License-Identifier: Apache-2.0 */
/* What the source of configuration is said to be, by status and in the poller's reports. */
#ifndef COMMON_SOURCE_JSON_H
#define COMMON_SOURCE_JSON_H

#include <stdint.h>

#include "common/jsonbuf.h"
#include "common/msg.h"

/*
 * The members of `conntrace status --json` that reports have, too, into an object that is the
 * caller's to open and close. host: what this host is called in a repository; the last two are the
 * poller's numbers of these names.
 */
void source_json_put(struct jsonbuf *json, const char *host, const struct msg_source *source,
		     uint64_t errors_in_row, uint64_t next_poll_ms);

#endif
