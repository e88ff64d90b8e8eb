/* SPDX-License-Identifier: Apache-2.0 */
/* A loss marker as a line of the output; docs/record.md has the fields. */
#ifndef EXPORTER_MARKER_H
#define EXPORTER_MARKER_H

#include <stddef.h>
#include <stdint.h>

#include "exporter/loss.h"

/* Longest line. */
#define MARKER_LINE_MAX 512u

/*
 * One JSON object, with its newline. offset_ns as for json_event(); began_ns is the ledger's. out
 * has MARKER_LINE_MAX bytes. Returns the length.
 */
int marker_json(const struct loss_marker *marker, int64_t offset_ns, uint64_t began_ns, char *out);

/* A line among those of table_event(). The same arguments. */
int marker_table(const struct loss_marker *marker, int64_t offset_ns, uint64_t began_ns, char *out);

#endif
