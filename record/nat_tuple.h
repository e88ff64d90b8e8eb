/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RECORD_NAT_TUPLE_H
#define RECORD_NAT_TUPLE_H

#include <stdint.h>

#include "bpf/event.h"

/* One direction, as its packets have it: addresses and ports as in struct event. */
struct nat_tuple {
	uint8_t src[EVENT_ADDR_LEN];
	uint8_t dst[EVENT_ADDR_LEN];
	uint16_t sport;
	uint16_t dport;
};

#endif
