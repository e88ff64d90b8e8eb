/* SPDX-License-Identifier: Apache-2.0 */
/* The fds a loaded and attached tracer consists of, and the manifest they travel with. */
#ifndef LOADER_TRACER_H
#define LOADER_TRACER_H

#include <stdint.h>

#include "common/dispatch.h"
#include "common/msg.h"

/* One row of the table in tracer.c each. */
enum tracer_fd {
	TRACER_RING,
	TRACER_COUNTERS,
	TRACER_LEDGER,
	TRACER_SETTINGS,
	TRACER_CONNECTIONS,
	TRACER_PROG_SET_STATE,
	TRACER_PROG_DESTROY,
	TRACER_PROG_WALK,
	TRACER_LINK_SET_STATE,
	TRACER_LINK_DESTROY,
	TRACER_LINK_WALK,
	TRACER_FD_COUNT,
};

/* A map's shape; 0 in value_size or max_entries = not checked. */
struct tracer_map {
	uint32_t type; /* enum bpf_map_type */
	uint32_t value_size;
	uint32_t max_entries;
};

struct tracer_row {
	uint32_t kind; /* enum fd_kind */
	const char *name;
	struct tracer_map map;  /* maps only */
	enum tracer_fd program; /* links only: of which program */
};

struct tracer {
	uint64_t identity; /* of the object the fds come from; 0 = none */
	int fds[TRACER_FD_COUNT];
};

const struct tracer_row *tracer_row(enum tracer_fd which);

/* No fd yet. */
void tracer_init(struct tracer *tracer);

/* Closes every fd: what nobody else holds detaches and is freed. */
void tracer_close(struct tracer *tracer);

/* How many of its fds are there. */
uint32_t tracer_fd_count(const struct tracer *tracer);

/* Take from a message the fds that belong to a tracer, with its identity; others stay there. */
void tracer_take(struct tracer *tracer, const struct msg_manifest *manifest,
		 struct dispatch_fds *fds);

/*
 * The manifest of a complete tracer and its fds in the same order (room for PROTO_FDS_MAX), which
 * stay the tracer's.
 */
void tracer_manifest(const struct tracer *tracer, struct msg_manifest *manifest, int *fds);

#endif
