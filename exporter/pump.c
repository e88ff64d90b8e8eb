/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/pump.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/counters.h"
#include "common/log.h"
#include "exporter/ledger.h"
#include "exporter/marker.h"
#include "record/decode.h"
#include "record/json.h"
#include "record/table.h"

_Static_assert(JSON_LINE_MAX <= SINK_LINE_MAX, "pump: a line fits");
_Static_assert(TABLE_LINE_MAX <= SINK_LINE_MAX, "pump: a line fits");
_Static_assert(MARKER_LINE_MAX <= SINK_LINE_MAX, "pump: a line fits");

static int format_table(struct pump *pump, const struct event *event, char *out, size_t cap)
{
	return cap < TABLE_LINE_MAX ? -EMSGSIZE : table_event(event, pump->offset_ns, out);
}

static int format_json(struct pump *pump, const struct event *event, char *out, size_t cap)
{
	struct nat_tuple translated;
	const struct json_context context = {
		.offset_ns = pump->offset_ns,
		.nat = nat_find(&pump->nat, event, &translated) ? &translated : NULL,
		.cgroup = cgroups_find(&pump->cgroups, event->cgroup_id, loop_now_ms()),
	};

	return json_event(event, &context, out, cap);
}

/* Every live connection is to be reported anew: the walk reads the ledger (bpf/snapshot.h). */
static void list_anew(struct pump *pump)
{
	uint64_t generation = pump->ledger->generation + 1;

	live_begin(&pump->live, generation);
	ledger_set(&pump->ledger->generation, generation);
	pump->doubt = false;
	pump->unlisted = false;
}

void pump_begin(struct pump *pump, bool table)
{
	char *out;
	size_t cap;

	list_anew(pump);
	pump->format = table ? format_table : format_json;
	pump->format_marker = table ? marker_table : marker_json;
	out = table ? sink_room(&pump->sink, &cap) : NULL;
	if (out)
		sink_put(&pump->sink, (size_t)table_header(out), 0);
}

/* Where an end is missing (a listener's is an update) nobody will take it out of the table. */
static void note_missed(struct pump *pump, const struct counters *sum)
{
	uint64_t missed = sum->lost_close + sum->lost_unseen + sum->lost_update +
			  pump->ledger->dropped_malformed;

	pump->doubt |= missed != pump->missed;
	pump->missed = missed;
}

/* What is missing and was not told goes into the batch. */
static void tell_losses(struct pump *pump, bool all)
{
	struct loss_marker due[LOSS_KINDS];
	struct loss_look look;
	uint32_t count;

	look.before_ns = loop_now_ns();
	counters_sum(pump->counters, &look.sum);
	look.after_ns = loop_now_ns();
	note_missed(pump, &look.sum);
	count = loss_due(&pump->loss, pump->ledger, &look, all, due);
	for (uint32_t i = 0; i < count; i++) {
		size_t cap;
		char *out = sink_room(&pump->sink, &cap);

		/* A full batch: they are still due when there is a new one. */
		if (!out)
			return;
		sink_put(&pump->sink,
			 (size_t)pump->format_marker(&due[i], pump->offset_ns,
						     pump->ledger->began_ns, out),
			 SINK_MARKER + due[i].kind);
		loss_begin(&pump->loss, &due[i]);
	}
}

/* The batch ended, one way or the other: put it into the ledger, then take it out of the ring. */
static void settle(struct pump *pump)
{
	struct ledger *ledger = pump->ledger;
	struct sink_tally tally;

	sink_settle(&pump->sink, &tally);
	ledger_add(&ledger->delivered_open, tally.delivered[EVENT_OPEN]);
	ledger_add(&ledger->delivered_update, tally.delivered[EVENT_UPDATE]);
	ledger_add(&ledger->delivered_close, tally.delivered[EVENT_CLOSE]);
	ledger_add(&ledger->delivered_bytes, tally.bytes);
	ledger_add(&ledger->dropped_sink_open, tally.dropped[EVENT_OPEN]);
	ledger_add(&ledger->dropped_sink_update, tally.dropped[EVENT_UPDATE]);
	ledger_add(&ledger->dropped_sink_close, tally.dropped[EVENT_CLOSE]);
	ledger_add(&ledger->dropped_malformed, pump->malformed);
	ledger_add(&ledger->handled_walk, pump->walks);
	pump->failing_dropped += tally.dropped[EVENT_OPEN] + tally.dropped[EVENT_UPDATE] +
				 tally.dropped[EVENT_CLOSE];
	for (enum loss_kind kind = 0; kind < LOSS_KINDS; kind++)
		loss_end(&pump->loss, ledger, kind, tally.delivered[SINK_MARKER + kind] > 0);
	pump->malformed = 0;
	pump->walks = 0;
	ring_release(&pump->ring);
}

static void note_recovery(struct pump *pump)
{
	if (!pump->failing_since_ms)
		return;
	if (pump->failing_dropped || pump->failing_error != -EAGAIN)
		log_warning("output %s: written again; %llu records dropped meanwhile",
			    pump->sink.name, (unsigned long long)pump->failing_dropped);
	pump->failing_since_ms = 0;
	pump->failing_dropped = 0;
	pump->failing_error = 0;
}

static void note_failure(struct pump *pump, int err)
{
	if (err != -EAGAIN)
		ledger_add(&pump->ledger->sink_errors, 1);
	/* A reader that is slow for a moment is nothing to tell; one that is gone is the end. */
	if (err != -EAGAIN && err != -EPIPE && err != pump->failing_error)
		log_error("output %s: write: %s: records wait in the ring, after %u s they are "
			  "dropped and counted; make it writable again",
			  pump->sink.name, strerror(-err), PUMP_PATIENCE_MS / 1000);
	pump->failing_error = err;
	if (!pump->failing_since_ms)
		pump->failing_since_ms = loop_now_ms();
}

/* Returns PUMP_DRY when the batch is settled, else why not. */
static enum pump_end flush(struct pump *pump, int wait_ms)
{
	bool progress, first_drop = pump->failing_dropped == 0;
	int err = sink_write(&pump->sink, wait_ms, &progress);

	if (!err) {
		if (pump->sink.len)
			note_recovery(pump);
		settle(pump);
		return PUMP_DRY;
	}
	note_failure(pump, err);
	if (err == -EPIPE)
		return PUMP_ENDED;
	if (progress)
		pump->failing_since_ms = loop_now_ms();
	if (loop_now_ms() - pump->failing_since_ms < PUMP_PATIENCE_MS)
		return PUMP_STUCK;
	settle(pump);
	if (first_drop && pump->failing_dropped)
		log_error("output %s: not writable for %u s (%s): records are dropped and counted",
			  pump->sink.name, PUMP_PATIENCE_MS / 1000,
			  err == -EAGAIN ? "its reader does not read" : strerror(-err));
	return PUMP_DRY;
}

static void keep_live(struct pump *pump, const struct event *event)
{
	bool ends = event->type == EVENT_CLOSE ||
		    (event->type == EVENT_LISTENER && event->state == TCP_CLOSE);

	if (ends) {
		live_remove(&pump->live, event->cookie);
	} else if (live_put(&pump->live, event) < 0) {
		ledger_add(&pump->ledger->table_full, 1);
		pump->unlisted = true;
	}
}

static void end_whole_walk(struct pump *pump, const struct event *event)
{
	/* What was left out may well be live. */
	if (!event->walk_left)
		live_walk(&pump->live, event->walk_generation);
	pump->walk_live = event->walk_live;
}

static void end_walk(struct pump *pump, const struct event *event)
{
	const struct live *live = &pump->live;

	if (event->walk_whole)
		end_whole_walk(pump, event);
	/* Other filters. */
	pump->doubt |= pump->walk_settings && event->walk_settings != pump->walk_settings;
	/* Room again for what found none: not worth a walk for the last places. */
	pump->doubt |= pump->unlisted && live->count < live->max - live->max / 8;
	pump->walk_settings = event->walk_settings;
	clients_walk(&pump->clients, event->walk_id);
}

static void refuse(struct pump *pump, enum decode_result result)
{
	static bool told;

	pump->malformed++;
	if (!told)
		log_error("record refused: %s: the tracer and the exporter are not of one version? "
			  "install both from one package",
			  decode_result_text(result));
	told = true;
}

/* out has room for a line. */
static void handle(struct pump *pump, const struct ring_record *record, char *out, size_t cap)
{
	enum decode_result result;
	struct event event;
	int len;

	pump->records++;
	result = decode_event(record->bytes, record->len_bytes, &event);
	if (result != DECODE_OK) {
		refuse(pump, result);
		return;
	}
	if (event.type == EVENT_WALK) {
		end_walk(pump, &event);
		pump->walks++;
		return;
	}
	keep_live(pump, &event);
	clients_record(&pump->clients, &event);
	len = pump->format(pump, &event, out, cap);
	if (len > 0)
		sink_put(&pump->sink, (size_t)len,
			 event.type == EVENT_LISTENER ? EVENT_UPDATE : event.type);
	else
		pump->malformed++;
}

static enum pump_end take_records(struct pump *pump, int wait_ms)
{
	for (uint32_t i = 0; i < PUMP_TURN_RECORDS; i++) {
		struct ring_record record;
		size_t cap;
		char *out = sink_room(&pump->sink, &cap);
		enum pump_end end = PUMP_DRY;
		int got;

		if (!out)
			end = flush(pump, wait_ms);
		if (end != PUMP_DRY)
			return end;
		out = out ? out : sink_room(&pump->sink, &cap);
		got = ring_next(&pump->ring, &record);
		if (got <= 0)
			return got < 0 ? PUMP_DAMAGED : PUMP_DRY;
		handle(pump, &record, out, cap);
	}
	return PUMP_MORE;
}

void pump_tell_all(struct pump *pump)
{
	tell_losses(pump, true);
}

enum pump_end pump_turn(struct pump *pump, int wait_ms)
{
	enum pump_end end, flushed = PUMP_DRY;

	nat_turn(&pump->nat);

	if (loop_now_ms() - pump->looked_ms >= PUMP_LOOK_MS) {
		pump->looked_ms = loop_now_ms();
		tell_losses(pump, false);
	}
	end = take_records(pump, wait_ms);
	clients_flush(&pump->clients);
	/* Not before what was in the ring is read: it would count as met anew. */
	if (end == PUMP_DRY && pump->doubt)
		list_anew(pump);
	if (end == PUMP_DRY || end == PUMP_MORE)
		flushed = flush(pump, wait_ms);
	return flushed == PUMP_DRY ? end : flushed;
}
