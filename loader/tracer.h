/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three tracers: which object each is, which programs are in it and where they attach; and the
 * fds that a loaded and attached one consists of.
 */
#ifndef LOADER_TRACER_H
#define LOADER_TRACER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/dispatch.h"
#include "common/msg.h"
#include "loader/features.h"

#define TRACER_PROBES_MAX 17u

/* How a program gets to run. */
enum probe_kind {
	PROBE_TRACEPOINT, /* BTF tracepoint */
	PROBE_FENTRY,
	PROBE_FEXIT,
	PROBE_KPROBE,
	PROBE_KRETPROBE,
	PROBE_WALK,       /* an iterator: run by reading it */
	PROBE_WALK_FLOWS, /* the one over the UDP flows */
	PROBE_SEED,       /* the one over files: run when all are attached, and now and then */
};

/* Where what is remembered of a connection lies: bpf/store.h. */
enum probe_store {
	STORE_ANY,
	STORE_SOCKET, /* socket storage */
	STORE_TABLE,  /* the table */
};

/* What stands or falls together. */
enum probe_part {
	PART_TCP,
	PART_UDP,     /* left out where the kernel does not let the flows be walked over */
	PART_CONNECT, /* connects that fail at once */
	PART_COUNT,
};

/* A program and its hook. */
struct probe {
	const char *program; /* its name in the object */
	const char *hook;    /* the kernel's function, tracepoint or iterator */
	enum probe_kind kind;
	enum feature present;   /* whether the kernel has the hook */
	enum probe_store store; /* the program is for this one only */
	bool required;
	const char *without; /* optional: what is missing from the records then */
	enum probe_part part;
};

/* A tracer: a row of the table in tracer.c. */
struct tracer_type {
	const char *name;
	const char *object; /* file name */
	struct probe probes[TRACER_PROBES_MAX];
	uint32_t probe_count;
};

/* Of a tracer that can be asked for by name, so not TRACER_AUTO. */
const struct tracer_type *tracer_type(enum config_tracer which);

/* The maps that every tracer has. */
enum tracer_map {
	TRACER_RING,
	TRACER_COUNTERS,
	TRACER_LEDGER,
	TRACER_SETTINGS,
	TRACER_TELEMETRY,
	TRACER_HITS,
	TRACER_CONNECTIONS, /* socket storage or the table */
	TRACER_FLOWS,       /* the table of UDP flows */
	TRACER_FLOW_SOCKETS,
	/* What only programs look at: numbers of records and cookies go on in the next tracer. */
	TRACER_FLOW_WORKS,
	TRACER_WORKS,
	TRACER_COOKIES,
	TRACER_MAPS,
};

/* A map's shape; 0 in value_size or max_entries = not checked. */
struct tracer_map_row {
	uint32_t fd_kind; /* enum fd_kind */
	const char *name;
	uint32_t type; /* enum bpf_map_type */
	uint32_t value_size;
	uint32_t max_entries;
};

/* What the map is like with this store. */
const struct tracer_map_row *tracer_map(enum tracer_map which, enum probe_store store);

/* The fds of a tracer; -1 = none. Programs and links are those of type->probes. */
struct tracer {
	const struct tracer_type *type; /* NULL = nothing is there */
	enum probe_store store;
	uint64_t identity; /* of the object the fds come from */
	uint32_t generation;
	int maps[TRACER_MAPS];
	int programs[TRACER_PROBES_MAX];
	int links[TRACER_PROBES_MAX];
};

/* No fd yet. */
void tracer_init(struct tracer *tracer);

/* Closes every fd: what nobody else holds detaches and is freed. */
void tracer_close(struct tracer *tracer);

/* RETURNS_ of bpf/event.h: of which of the kernel's connect functions the return is seen. */
uint32_t tracer_connect_returns(const struct tracer *tracer);

/* Whether a program sees datagrams, and flows are ended. */
bool tracer_traces_udp(const struct tracer *tracer);

/* The links of its walks; -1 = it has none. */
int tracer_walk_link(const struct tracer *tracer);
int tracer_flow_link(const struct tracer *tracer);

/* The link of its walk over files; -1 = it has none. */
int tracer_seed_link(const struct tracer *tracer);

/*
 * The manifest of a tracer and its fds in the same order (room for PROTO_FDS_MAX), which stay the
 * tracer's.
 */
void tracer_manifest(const struct tracer *tracer, struct msg_manifest *manifest, int *fds);

/* What came down from an earlier loader, before it is known which tracer it is. */
struct tracer_inheritance {
	struct msg_manifest manifest;
	int fds[PROTO_FDS_MAX]; /* -1 = not a tracer's */
};

/*
 * Take all fds of a message that were not taken before, but those of that kind, which stay there.
 */
void tracer_inherit(struct tracer_inheritance *inheritance, const struct msg_manifest *manifest,
		    struct dispatch_fds *fds, enum fd_kind but);
void tracer_disinherit(struct tracer_inheritance *inheritance);

/*
 * Sort inherited fds into a tracer of this type and store; those it has no place for stay.
 */
void tracer_take(struct tracer *tracer, const struct tracer_type *type, enum probe_store store,
		 struct tracer_inheritance *inheritance);

#endif
