/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a record: ring, decoder, live table, clients, sink, ledger. A record leaves the ring
 * only when the sink has it or it was given up and counted, so a reader that is killed loses none.
 * Between the records go markers that tell what is missing.
 */
#ifndef EXPORTER_PUMP_H
#define EXPORTER_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "exporter/clients.h"
#include "exporter/live.h"
#include "exporter/loss.h"
#include "exporter/nat.h"
#include "exporter/ring.h"
#include "exporter/sink.h"
#include "record/cgroups.h"

/* Records handled before control has its turn. */
#define PUMP_TURN_RECORDS 1024u

/* The least time between two looks at what was lost. */
#define PUMP_LOOK_MS 50u

/* How long a sink may refuse a batch before its records are dropped. */
#define PUMP_PATIENCE_MS 10000u

struct pump {
	struct ring ring;
	struct sink sink;
	struct live live;
	struct clients clients;
	struct cgroups cgroups;
	struct nat nat;
	const struct counters *counters; /* slots */
	struct ledger *ledger;
	int (*format)(struct pump *pump, const struct event *event, char *out, size_t cap);
	int (*format_marker)(const struct loss_marker *marker, int64_t offset_ns, uint64_t began_ns,
			     char *out);
	int64_t offset_ns; /* clock_offset_ns() */
	struct loss loss;
	uint64_t looked_ms;     /* at what was lost */
	uint64_t records;       /* read from the ring */
	uint64_t walk_live;     /* connections met by the last walk */
	uint32_t walk_settings; /* what it was filtered by; 0 = no walk was seen */
	bool doubt;             /* the table may lack live connections, or hold some that ended */
	bool unlisted;          /* it was full */
	uint64_t missed;        /* ends that no record told, by the latest look */
	uint64_t malformed;     /* in the batch under way */
	uint64_t walks;         /* ends of walks in it */
	uint64_t failing_since_ms; /* 0 = the sink takes what it gets */
	uint64_t failing_dropped;
	int failing_error; /* as sink_write() gave it */
};

/* What a turn ended with. */
enum pump_end {
	PUMP_DRY,     /* nothing is waiting that can be handled now */
	PUMP_MORE,    /* more is waiting */
	PUMP_STUCK,   /* the sink doesn't take the batch */
	PUMP_ENDED,   /* the reader of the sink is gone for good */
	PUMP_DAMAGED, /* the ring makes no sense */
};

/* Begin the output: the header of a table; and the table of live connections, by asking for all of
   them. ring, sink, live, clients, cgroups, nat and ledger are open. */
void pump_begin(struct pump *pump, bool table);

/*
 * Handle up to PUMP_TURN_RECORDS records, waiting at most wait_ms for a slow sink at a time. Before
 * them goes what is newly missing.
 */
enum pump_end pump_turn(struct pump *pump, int wait_ms);

/* Have the next turn tell whatever is missing, however short ago the last marker was. */
void pump_tell_all(struct pump *pump);

#endif
