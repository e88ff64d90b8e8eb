/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probation of a configuration that came from a source, as a pure function of what happened, what
 * is counted and what time it is. It is passed when loader and exporter have been at work for the
 * given time without a crash, and failed at the PROBATION_CRASHES'th crash, or when too much is
 * lost. A child that is given up on fails it, too, which the caller knows.
 *
 * Too much are PROBATION_LOST_LEAST records, and a share of all that is more than
 * PROBATION_LOST_PERCENT percent of them above the share that was lost before: in the one to two
 * lengths of a probation before it, as far as they were counted.
 */
#ifndef SUPERVISOR_PROBATION_H
#define SUPERVISOR_PROBATION_H

#include <stdbool.h>
#include <stdint.h>

#define PROBATION_CRASHES      3u
#define PROBATION_LOST_LEAST   100u
#define PROBATION_LOST_PERCENT 1u

/* Counts that only grow, but begin anew with a tracer that has maps of its own. */
struct probation_count {
	uint64_t records; /* that there were to deliver, lost ones included */
	uint64_t lost;
};

struct probation_look {
	uint64_t now_ms;
	uint32_t length_ms; /* of one that begins now */
	bool at_work;       /* loader and exporter run */
	struct probation_count count;
};

enum probation_result {
	PROBATION_NONE,     /* there is none */
	PROBATION_GOES_ON,  /* under way */
	PROBATION_PASSED,   /* just now */
	PROBATION_CRASHING, /* failed just now: crashes */
	PROBATION_LOSING,   /* failed just now: losses */
};

struct probation {
	uint32_t length_ms;
	bool under_way;
	uint64_t until_ms; /* 0 = not all are at work yet */
	uint32_t crashes;
	struct probation_count begin;  /* when it began */
	struct probation_count before; /* in the time before that */
	/* While there is none: what was counted an entire length ago, or more, and since when. */
	bool marked;
	uint64_t mark_ms; /* of the younger */
	struct probation_count older, younger;
};

/* Begin one, or begin the one under way anew. */
void probation_begin(struct probation *probation, const struct probation_look *look);

/* Call it off: what was on probation is no longer in force. */
void probation_end(struct probation *probation);

/* A child that it is about has crashed. */
enum probation_result probation_crash(struct probation *probation);

/* Look at what is counted, about once a second, also while there is none; and when one is to end.
 */
enum probation_result probation_look(struct probation *probation,
				     const struct probation_look *look);

/* Milliseconds that are left at now_ms; 0 = there is none. */
uint32_t probation_left_ms(const struct probation *probation, uint64_t now_ms);

/* Records, and lost ones of them, since it began. */
struct probation_count probation_since(const struct probation *probation,
				       const struct probation_count *count);

/* Hundredths of a percent of the records that are lost ones. */
uint32_t probation_share(const struct probation_count *count);

#endif
