/* SPDX-License-Identifier: Apache-2.0 */
/* A record as one JSON object on one line; docs/record.md has the fields. */
#ifndef EXPORTER_JSON_H
#define EXPORTER_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"

/* Longest line: every number at its widest, every byte of comm escaped. */
#define JSON_LINE_MAX 2048u

/*
 * Write the line, with its newline, to out. offset_ns is what clock_offset_ns() gave: it makes
 * CLOCK_REALTIME of the record's times. Returns the length, or -EMSGSIZE if cap is too small
 * (JSON_LINE_MAX never is).
 */
int json_event(const struct event *event, int64_t offset_ns, char *out, size_t cap);

#endif
