/* SPDX-License-Identifier: Apache-2.0 */
/* A record as one JSON object on one line; docs/record.md has the fields. */
#ifndef RECORD_JSON_H
#define RECORD_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "record/cgroup_name.h"
#include "record/nat_tuple.h"

/* Longest line: every number at its widest, every byte of comm and of the cgroup's path escaped. */
#define JSON_LINE_MAX 5568u

/* What is said in a line and is not in the record. */
struct json_context {
	int64_t offset_ns;                /* clock_offset_ns(): makes CLOCK_REALTIME of its times */
	const struct cgroup_name *cgroup; /* of event.cgroup_id; NULL = not known */
	const struct nat_tuple *nat;      /* how the other end sees it; NULL = not translated */
};

/*
 * Write the line, with its newline, to out. Returns the length, or -EMSGSIZE if cap is too small
 * (JSON_LINE_MAX never is).
 */
int json_event(const struct event *event, const struct json_context *context, char *out,
	       size_t cap);

#endif
