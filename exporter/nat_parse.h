/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a ctnetlink socket to the two tuples of a connection. Pure; knows nothing of
 * sockets and keeps nothing.
 */
#ifndef EXPORTER_NAT_PARSE_H
#define EXPORTER_NAT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/nat_tuple.h"

/* A connection as the kernel tracks it. */
struct nat_conn {
	uint32_t id;      /* CTA_ID: the same in all that is said of it; 0 = not said */
	uint8_t family;   /* 4 or 6 */
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	struct nat_tuple original;
	struct nat_tuple reply; /* what is expected from the other end */
};

enum nat_kind {
	NAT_OTHER, /* of no concern: another protocol, a zone, an attribute missing */
	NAT_NEW,
	NAT_DESTROY,
	NAT_DUMPED, /* part of an answer to a request */
	NAT_DONE,   /* its end */
	NAT_ERROR,  /* its end, too soon */
};

struct nat_message {
	enum nat_kind kind;
	int err;              /* positive, of NAT_ERROR; 0 = not said */
	struct nat_conn conn; /* of NAT_NEW, NAT_DESTROY, NAT_DUMPED */
};

/*
 * The first message of these bytes, which begin at an address that is a multiple of 4. Returns how
 * many bytes it takes with its padding, 0 if len is 0, or -EBADMSG if there is no whole message.
 */
int nat_parse(const void *bytes, size_t len, struct nat_message *message);

/* Whether the other end sees other addresses or ports: the reply is not the original turned round.
 */
bool nat_is_translated(const struct nat_conn *conn);

#endif
