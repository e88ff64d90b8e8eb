/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/loss.h"

#include <stddef.h>

#include "exporter/ledger.h"

enum counted_by { KERNEL, EXPORTER };

static const struct row {
	const char *cause;
	const char *records;
	enum counted_by counted_by;
	size_t count; /* offset in struct counters or struct ledger */
	size_t told;  /* offset in struct ledger */
} rows[LOSS_KINDS] = {
#define BY_KERNEL(count, told) \
	KERNEL, offsetof(struct counters, count), offsetof(struct ledger, told)
#define BY_EXPORTER(count, told) \
	EXPORTER, offsetof(struct ledger, count), offsetof(struct ledger, told)
	[LOSS_FULL_OPEN] = {"ring_full", "open", BY_KERNEL(lost_open, told_lost_open)},
	[LOSS_FULL_UPDATE] = {"ring_full", "update", BY_KERNEL(lost_update, told_lost_update)},
	[LOSS_FULL_CLOSE] = {"ring_full", "close", BY_KERNEL(lost_close, told_lost_close)},
	[LOSS_HALF_FULL_UPDATE] = {"ring_half_full", "update",
				   BY_KERNEL(deferred_update, told_deferred)},
	[LOSS_UNSEEN_CLOSE] = {"unseen", "close", BY_KERNEL(lost_unseen, told_unseen)},
	[LOSS_MALFORMED] = {"malformed", NULL, BY_EXPORTER(dropped_malformed, told_malformed)},
	[LOSS_SINK_OPEN] = {"sink", "open", BY_EXPORTER(dropped_sink_open, told_sink_open)},
	[LOSS_SINK_UPDATE] = {"sink", "update", BY_EXPORTER(dropped_sink_update, told_sink_update)},
	[LOSS_SINK_CLOSE] = {"sink", "close", BY_EXPORTER(dropped_sink_close, told_sink_close)},
};

static uint64_t number_at(const void *numbers, size_t offset)
{
	return __atomic_load_n((const uint64_t *)((const char *)numbers + offset),
			       __ATOMIC_RELAXED);
}

static uint64_t *told_of(struct ledger *ledger, enum loss_kind kind)
{
	return (uint64_t *)((char *)ledger + rows[kind].told);
}

static uint64_t counted(const struct row *row, const struct ledger *ledger,
			const struct loss_look *look)
{
	return row->counted_by == KERNEL ? number_at(&look->sum, row->count)
					 : number_at(ledger, row->count);
}

static bool too_soon(const struct loss *loss, enum loss_kind kind, uint64_t now_ns)
{
	return loss->told_ns[kind] && now_ns - loss->told_ns[kind] < LOSS_INTERVAL_NS;
}

uint32_t loss_due(const struct loss *loss, struct ledger *ledger, const struct loss_look *look,
		  bool all, struct loss_marker due[LOSS_KINDS])
{
	uint32_t found = 0;

	for (enum loss_kind kind = 0; kind < LOSS_KINDS; kind++) {
		uint64_t total = counted(&rows[kind], ledger, look);
		uint64_t told = *told_of(ledger, kind);

		if (loss->under_way[kind].count)
			continue;
		if (total <= told)
			ledger_set(&ledger->told_until_ns[kind], look->before_ns);
		else if (all || !too_soon(loss, kind, look->before_ns))
			due[found++] = (struct loss_marker){.kind = kind,
							    .count = total - told,
							    .total = total,
							    .since_ns = ledger->told_until_ns[kind],
							    .until_ns = look->after_ns,
							    .next_ns = look->before_ns};
	}
	return found;
}

void loss_begin(struct loss *loss, const struct loss_marker *marker)
{
	loss->under_way[marker->kind] = *marker;
}

void loss_end(struct loss *loss, struct ledger *ledger, enum loss_kind kind, bool delivered)
{
	struct loss_marker *marker = &loss->under_way[kind];

	if (delivered && marker->count) {
		/* In this order: killed in between, the next marker's time begins too early. */
		ledger_set(told_of(ledger, kind), marker->total);
		ledger_set(&ledger->told_until_ns[kind], marker->next_ns);
		loss->told_ns[kind] = marker->until_ns;
	}
	marker->count = 0;
}

const char *loss_cause(enum loss_kind kind)
{
	return rows[kind].cause;
}

const char *loss_records(enum loss_kind kind)
{
	return rows[kind].records;
}
