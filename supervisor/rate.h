/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many messages a child may send: a bucket of RATE_BURST that fills up again by RATE_PER_S each
 * second. One at work sends two a second, one that comes up less than a hundred, and a supervisor
 * that was stopped for minutes finds as many as its socket holds, some 300. Pure: no clock.
 */
#ifndef SUPERVISOR_RATE_H
#define SUPERVISOR_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_BURST 512u
#define RATE_PER_S 64u

struct rate {
	uint64_t filled_ms; /* the time the fill is of */
	uint64_t fill;      /* thousandths of a message */
};

/* A full bucket. */
void rate_init(struct rate *rate, uint64_t now_ms);

/* Take one message at now_ms, which never runs backwards. Returns false if there is none left. */
bool rate_take(struct rate *rate, uint64_t now_ms);

#endif
