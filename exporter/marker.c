/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/marker.h"

#include <stdio.h>

#include "common/jsonbuf.h"
#include "record/table.h"

/* The causes for people. */
static const char *const reasons[LOSS_KINDS] = {
	[LOSS_FULL_OPEN] = "ring full",
	[LOSS_FULL_UPDATE] = "ring full",
	[LOSS_FULL_CLOSE] = "ring full",
	[LOSS_HALF_FULL_UPDATE] = "ring half full",
	[LOSS_UNSEEN_CLOSE] = "end not seen",
	[LOSS_MALFORMED] = "malformed",
	[LOSS_SINK_OPEN] = "output not writable",
	[LOSS_SINK_UPDATE] = "output not writable",
	[LOSS_SINK_CLOSE] = "output not writable",
};

static void put_number(struct jsonbuf *json, const char *key, uint64_t value)
{
	jsonbuf_key(json, key);
	jsonbuf_u64(json, value);
}

static void put_word(struct jsonbuf *json, const char *key, const char *word)
{
	jsonbuf_key(json, key);
	if (word)
		jsonbuf_string(json, word, SIZE_MAX);
	else
		jsonbuf_null(json);
}

static uint64_t real_ns(uint64_t monotonic_ns, int64_t offset_ns)
{
	return monotonic_ns ? monotonic_ns + (uint64_t)offset_ns : 0;
}

/* The order is part of the contract. */
int marker_json(const struct loss_marker *marker, int64_t offset_ns, uint64_t began_ns, char *out)
{
	struct jsonbuf json;

	jsonbuf_init(&json, out, MARKER_LINE_MAX);
	jsonbuf_open(&json, '{');
	put_word(&json, "event", "loss");
	put_word(&json, "cause", loss_cause(marker->kind));
	put_word(&json, "records", loss_records(marker->kind));
	put_number(&json, "count", marker->count);
	put_number(&json, "total", marker->total);
	put_number(&json, "since_ns", real_ns(marker->since_ns, offset_ns));
	put_number(&json, "until_ns", real_ns(marker->until_ns, offset_ns));
	put_number(&json, "total_since_ns", began_ns);
	jsonbuf_close(&json, '}');
	jsonbuf_newline(&json);
	return (int)json.len;
}

int marker_table(const struct loss_marker *marker, int64_t offset_ns, uint64_t began_ns, char *out)
{
	const char *records = loss_records(marker->kind);
	char time[TABLE_CELL_MAX], within[16];

	(void)began_ns;
	table_time(marker->until_ns, offset_ns, time);
	table_duration(marker->until_ns - marker->since_ns, within);
	return snprintf(out, MARKER_LINE_MAX, "%-8s %-6s %s%srecords missing: %llu (%s%s%s)\n",
			time, "loss", records ? records : "", records ? " " : "",
			(unsigned long long)marker->count, reasons[marker->kind],
			marker->since_ns ? ", within " : "", marker->since_ns ? within : "");
}
