/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line clients: each gets either the live connections once or the records as they pass.
 * Nobody waits for a client: what it doesn't read in time it misses, and that is counted.
 */
#ifndef EXPORTER_CLIENTS_H
#define EXPORTER_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/loop.h"
#include "common/msg.h"
#include "exporter/live.h"

#define CLIENTS_MAX     16u
#define CLIENTS_WALK_MS 4000u  /* how long a list waits for its walk; less than the client does */
#define CLIENTS_SEND_MS 10000u /* how long it then may take to be read */

struct clients;

struct client {
	struct clients *clients;
	int fd; /* -1 = free */
	enum ask ask;
	bool sending; /* a list on its way */
	uint64_t walk_id;
	uint64_t deadline_ms;
	uint32_t cursor;
};

struct clients {
	struct loop *loop;
	const struct live *live;
	uint64_t *dropped; /* ledger.clients_dropped */
	uint32_t count;
	uint32_t tails;
	uint64_t walk_seen;
	struct client list[CLIENTS_MAX];
	struct msg_records passing; /* for the tails: gathered since the last clients_flush() */
	struct msg_records part;    /* of a list */
	uint8_t frame[PROTO_FRAME_MAX];
};

/* loop, live and dropped must live as long. */
void clients_init(struct clients *clients, struct loop *loop, const struct live *live,
		  uint64_t *dropped);

/* Serve the client at fd, a connected SOCK_SEQPACKET, and close it at the end or on failure. */
void clients_add(struct clients *clients, int fd, enum ask ask, uint64_t walk_id);

/* A record passes. */
void clients_record(struct clients *clients, const struct event *event);

/* A walk was seen to its end: lists that waited for it are sent. */
void clients_walk(struct clients *clients, uint64_t walk_id);

/* Send the tails what has passed; once per turn. */
void clients_flush(struct clients *clients);

/* Every 100 ms or so: deadlines. */
void clients_tick(struct clients *clients);

#endif
