/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection ended, from the state it was left in and its error. Pure. */
#ifndef RECORD_ENDING_H
#define RECORD_ENDING_H

#include <stdint.h>

#include "bpf/event.h"

/*
 * "fin", "reset_in", "reset_out", "refused", "timeout", "unreachable", "cancelled", "aborted",
 * "error", or "unknown" for an end that no program saw; NULL while it lives. See tcp_reset(),
 * tcp_write_err(), tcp_close() and tcp_disconnect() of net/ipv4.
 */
const char *ending_word(const struct event *event);

/* "local", "remote": who sent the first FIN; NULL if nobody did. */
const char *ending_closer(uint32_t closer);

/*
 * The same number for both ends of a connection, whichever is local: of the two addresses and ports
 * (FNV-1a). Ports are used again, so it joins ends whose times overlap.
 */
uint64_t ending_pair(const struct event *event);

#endif
