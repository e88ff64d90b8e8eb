/* SPDX-License-Identifier: Apache-2.0 */
/* The account: every connection is live or reported or counted as missing. Pure. */
#ifndef CLI_IDENTITY_H
#define CLI_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

/* Of connections: opened, live, closed. Of records: the rest. */
struct identity {
	uint64_t opened;
	int64_t live; /* opened − closed */
	uint64_t closed;
	uint64_t submitted; /* put into the ring */
	uint64_t delivered; /* written to the sink */
	uint64_t dropped;   /* lost in the kernel, malformed, not taken by the sink */
	uint64_t filtered;
	uint64_t sampled; /* left out by a sample */
	int64_t waiting; /* in the ring: submitted and neither delivered nor dropped; ends of walks,
			    too */
	bool holds;
};

/*
 * The numbers are read while they move, so that a connection that closes just then can make the
 * account off by one; one that stays off is a defect.
 */
void identity_of(const struct msg_summary *summary, struct identity *identity);

#endif
