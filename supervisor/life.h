/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one child as a pure transition function: what happened and what time it is go in,
 * what to do comes out. No process, no clock, no I/O.
 *
 *      want          hello         up
 *  idle ──→ starting ──→ ready ──→ running
 *   ↑          │ silent, broken, stop, replace │
 *   │          └────────────┬──────────────────┘
 *   │ stopped               ↓             again
 *   └─────────────────── stopping ──→ starting (replaced) | backoff ──→ starting
 *                                                         └ too often: failed
 */
#ifndef SUPERVISOR_LIFE_H
#define SUPERVISOR_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

enum life_event {
	LIFE_WANT,    /* it should run */
	LIFE_HELLO,   /* it said HELLO */
	LIFE_UP,      /* it said READY */
	LIFE_HEALTH,  /* it gave a sign of life */
	LIFE_BROKEN,  /* it broke the protocol or closed its channel */
	LIFE_FATAL,   /* it said that trying again without a change can't help */
	LIFE_STOP,    /* it should not run any more */
	LIFE_REPLACE, /* a fresh one should run: new configuration */
	LIFE_EXITED,  /* it has exited, or could not be started */
	LIFE_TICK,    /* time has passed */
	LIFE_EVENT_COUNT,
};

enum life_action {
	LIFE_NOTHING,
	LIFE_SPAWN,    /* fork and execute it */
	LIFE_CLOSE,    /* close its channel: the order to stop */
	LIFE_KILL,     /* SIGKILL */
	LIFE_GIVEN_UP, /* it will not be started again: report it */
};

struct life_times {
	uint32_t start_ms;   /* spawn to HELLO */
	uint32_t ready_ms;   /* HELLO to READY */
	uint32_t silence_ms; /* between two signs of life while running */
	uint32_t stop_ms;    /* order to stop, to exit */
};

/* The wait before the nth start after n crashes in a row: 50 ms doubled each time, at most 10 s. */
#define LIFE_BACKOFF_FIRST_MS 50u
#define LIFE_BACKOFF_MOST_MS  10000u
/* So many crashes in a row are given up on ... */
#define LIFE_CRASHES_MAX 10u
/* ... and a run of this length ends a row. */
#define LIFE_STEADY_MS 30000u

struct life {
	const struct life_times *times;
	enum life_state state;
	bool wanted;
	bool replacing;
	bool fatal;
	uint64_t spawned_ms;
	uint64_t deadline_ms; /* of this state; 0 = none */
	uint32_t crashes;     /* in a row */
	uint32_t restarts;    /* starts after a crash, ever */
	uint32_t replaced;    /* starts for a new configuration, ever */
};

/* An idle life; times must outlive it. */
void life_init(struct life *life, const struct life_times *times);

/* What happened at now_ms; returns what to do about it. */
enum life_action life_step(struct life *life, enum life_event event, uint64_t now_ms);

#endif
