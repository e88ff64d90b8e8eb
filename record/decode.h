/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of a record to a struct event that holds what bpf/event.h promises. Pure. */
#ifndef RECORD_DECODE_H
#define RECORD_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"

enum decode_result {
	DECODE_OK,
	DECODE_LENGTH,    /* not as long as a record */
	DECODE_SIZE,      /* says that it has another size */
	DECODE_VERSION,   /* of another EVENT_VERSION */
	DECODE_TYPE,      /* no enum event_type */
	DECODE_PROTOCOL,  /* neither TCP nor UDP */
	DECODE_FAMILY,    /* neither 4 nor 6 */
	DECODE_ADDRESS,   /* an IPv4 address with something behind it */
	DECODE_DIRECTION, /* no enum event_direction */
	DECODE_OWNER,     /* no enum event_owner */
	DECODE_FLAGS,     /* a flag that is unknown, or not the protocol's */
	DECODE_STATE,     /* no TCP state; for UDP not 0 */
	DECODE_ERROR,     /* not an errno */
	DECODE_CPU,       /* no sequence */
	DECODE_CLOSER,    /* no enum event_closer, or not a flag beside it */
	DECODE_RESULT_COUNT,
};

/*
 * Copy a record of len bytes to *event, and check the copy. *event is undefined unless the result
 * is DECODE_OK. comm may be unterminated: use at most EVENT_COMM_LEN of it.
 */
enum decode_result decode_event(const uint8_t *bytes, size_t len, struct event *event);

/* Why a record was refused, for the log: "unknown version". */
const char *decode_result_text(enum decode_result result);

#endif
