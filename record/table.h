/* SPDX-License-Identifier: Apache-2.0 */
/* Records as lines of a table for people, TABLE_WIDTH columns wide. */
#ifndef RECORD_TABLE_H
#define RECORD_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"

#define TABLE_WIDTH    120u
#define TABLE_LINE_MAX 256u
#define TABLE_CELL_MAX 64u

/* The line of titles, with its newline. out has TABLE_LINE_MAX bytes. Returns the length. */
int table_header(char *out);

/*
 * A record's line, with its newline. All ASCII; other bytes of a process name are shown as '?'.
 * The time of day is local time: call tzset() before entering a sandbox. offset_ns as for
 * json_event(). out has TABLE_LINE_MAX bytes. Returns the length.
 */
int table_event(const struct event *event, int64_t offset_ns, char *out);

/* Its time of day, for another line of the table; out has TABLE_CELL_MAX bytes. */
void table_time(uint64_t ns, int64_t offset_ns, char *out);

/* Parts of it, for others who print for people; out has 16 bytes. */
void table_bytes(uint64_t bytes, char *out);          /* "999", "1.2K", "45M" */
void table_duration(uint64_t duration_ns, char *out); /* "450us", "1.2s", "3m05s" */

#endif
