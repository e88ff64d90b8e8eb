/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is missing from the output, and how much of that loss markers have told it. Both are numbers
 * that outlive an exporter, the kernel's counters and the ledger, so the next one neither repeats
 * nor forgets. Pure: time and counters are the caller's.
 */
#ifndef EXPORTER_LOSS_H
#define EXPORTER_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"

/* At most one marker of a kind in this time, but for the last ones of an exporter. */
#define LOSS_INTERVAL_NS 1000000000ull

enum loss_kind {
	LOSS_FULL_OPEN,
	LOSS_FULL_UPDATE,
	LOSS_FULL_CLOSE,
	LOSS_HALF_FULL_UPDATE,
	LOSS_UNSEEN_CLOSE,
	LOSS_MALFORMED,
	LOSS_SINK_OPEN,
	LOSS_SINK_UPDATE,
	LOSS_SINK_CLOSE,
	LOSS_KINDS,
};
_Static_assert(LOSS_KINDS == LEDGER_LOSSES, "loss: the ledger has a time for each kind");

/* So many records of one kind are not in the output. Times are CLOCK_MONOTONIC. */
struct loss_marker {
	enum loss_kind kind;
	uint64_t count;
	uint64_t total;    /* with all that was told before */
	uint64_t since_ns; /* not before; 0 = since the programs were attached */
	uint64_t until_ns; /* not after */
	uint64_t next_ns;  /* since_ns of the next one */
};

/* A look at the counters, and the time before and after it: they move meanwhile. */
struct loss_look {
	struct counters sum;
	uint64_t before_ns;
	uint64_t after_ns;
};

/* This exporter's part: begins as zeroes. */
struct loss {
	uint64_t told_ns[LOSS_KINDS];             /* the latest marker's until_ns */
	struct loss_marker under_way[LOSS_KINDS]; /* given to the sink; count 0 = none */
};

/*
 * Which markers are to be written now, at most one of a kind: of what was counted and not told,
 * unless a marker of the kind is under way or, without all, less than LOSS_INTERVAL_NS ago. Returns
 * how many, in the order of enum loss_kind. Notes in the ledger which kinds have nothing to tell.
 */
uint32_t loss_due(const struct loss *loss, struct ledger *ledger, const struct loss_look *look,
		  bool all, struct loss_marker due[LOSS_KINDS]);

/* The marker is on its way to the output. */
void loss_begin(struct loss *loss, const struct loss_marker *marker);

/* The output has the marker under way, or not: then it is due again. */
void loss_end(struct loss *loss, struct ledger *ledger, enum loss_kind kind, bool delivered);

/* The words for a kind, part of the contract in docs/record.md. */
const char *loss_cause(enum loss_kind kind);   /* "ring_full" */
const char *loss_records(enum loss_kind kind); /* "close"; NULL: it can't be said */

#endif
