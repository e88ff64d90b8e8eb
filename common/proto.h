/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The message catalogue: every message that crosses a channel, once.
 *
 * The enum, the names, the size, direction, phase and fd checks of dispatch.c and the table of
 * docs/messages.md (written by `make docs`) come from PROTO_MESSAGES. What a message carries is
 * described in msg.h.
 */
#ifndef COMMON_PROTO_H
#define COMMON_PROTO_H

#include <stdint.h>

#define PROTO_VERSION 3u

/* The largest frame on a channel; anything larger travels as a sealed memfd (memfd.h). */
#define PROTO_FRAME_MAX 65536u

/* The most fds that one message carries. */
#define PROTO_FDS_MAX 48u

/* The channel's place in a child's fd table; 0 and 1 are /dev/null, 2 is the log. */
#define PROTO_CHILD_FD 3

enum role {
	ROLE_SUPERVISOR,
	ROLE_LOADER,
	ROLE_EXPORTER,
	ROLE_POLLER,
	ROLE_VERIFIER,
	ROLE_CLI,
	ROLE_COUNT,
};

/* Sets of roles, for the catalogue. */
#define R_SUPERVISOR (1u << ROLE_SUPERVISOR)
#define R_LOADER     (1u << ROLE_LOADER)
#define R_EXPORTER   (1u << ROLE_EXPORTER)
#define R_POLLER     (1u << ROLE_POLLER)
#define R_VERIFIER   (1u << ROLE_VERIFIER)
#define R_CLI        (1u << ROLE_CLI)
#define R_LASTING    (R_LOADER | R_EXPORTER | R_POLLER)
#define R_CHILDREN   (R_LASTING | R_VERIFIER)

/* Where a child is in its life, as both ends of its channel see it. */
enum phase {
	PHASE_STARTING, /* executed; nothing heard yet */
	PHASE_READY,    /* it said HELLO and gets what it needs */
	PHASE_RUNNING,  /* it said READY and works */
	PHASE_COUNT,
};

#define P_STARTING (1u << PHASE_STARTING)
#define P_READY    (1u << PHASE_READY)
#define P_RUNNING  (1u << PHASE_RUNNING)
#define P_ANY      (P_STARTING | P_READY | P_RUNNING)

/* X(ENUM, struct and handler, from, to, phases, fewest fds, most fds, largest frame, meaning) */
/* clang-format off */
#define PROTO_MESSAGES(X) \
	X(HELLO, hello, R_CHILDREN, R_SUPERVISOR, P_STARTING, 0, 0, 64, \
	  "a child's first word: its role, pid and protocol version") \
	X(CONFIG, config, R_SUPERVISOR, R_LASTING, P_READY, 0, 0, 16384, \
	  "the checked configuration in force") \
	X(START, start, R_SUPERVISOR, R_LASTING, P_READY, 0, 48, 2048, \
	  "begin work, with the fds the manifest names") \
	X(STEP, step, R_LOADER, R_SUPERVISOR, P_READY | P_RUNNING, 0, 0, 1024, \
	  "a step of the loader's ladder ended") \
	X(OUTCOME, outcome, R_LOADER, R_SUPERVISOR, P_READY, 0, 0, 64, \
	  "what became of an attempt to bring up a tracer") \
	X(TRACER, tracer, R_LOADER, R_SUPERVISOR, P_READY | P_RUNNING, 0, 0, 8192, \
	  "the tracer: where, on what BTF, and each of its programs") \
	X(LOADED, loaded, R_LOADER, R_SUPERVISOR, P_READY, 1, 48, 2048, \
	  "the tracer's maps and links, for the supervisor's custody") \
	X(READY, ready, R_LASTING, R_SUPERVISOR, P_READY, 0, 0, 64, "the child is up and works") \
	X(HEALTH, health, R_LASTING, R_SUPERVISOR, P_READY | P_RUNNING, 0, 0, 64, \
	  "sign of life, once a second") \
	X(STATS, stats, R_LASTING, R_SUPERVISOR, P_RUNNING, 0, 0, 512, \
	  "the child's own numbers, named in stats.h") \
	X(WALK, walk, R_SUPERVISOR, R_LOADER, P_RUNNING, 0, 0, 64, \
	  "make a snapshot of the live connections now") \
	X(CANDIDATE, candidate, R_POLLER, R_SUPERVISOR, P_RUNNING, 1, 1, 8192, \
	  "fetched configuration, unchecked, in a sealed memfd") \
	X(CHECK, check, R_SUPERVISOR, R_VERIFIER, P_READY, 1, 4, 8192, \
	  "check these: the local file, and what was fetched") \
	X(CHECKED, checked, R_VERIFIER, R_SUPERVISOR, P_READY, 0, 0, 32768, \
	  "the configuration they mean, or what is wrong with them") \
	X(VERDICT, verdict, R_SUPERVISOR, R_POLLER, P_RUNNING, 0, 0, 1024, \
	  "what became of a candidate") \
	X(CLIENT, client, R_SUPERVISOR, R_EXPORTER, P_RUNNING, 1, 1, 64, \
	  "serve this command-line client") \
	X(FAIL, fail, R_CHILDREN, R_SUPERVISOR, P_ANY, 0, 0, 2048, \
	  "the child cannot go on, and why; it exits next") \
	X(BYE, bye, R_CHILDREN, R_SUPERVISOR, P_ANY, 0, 0, 64, \
	  "the child exits as it was told to") \
	X(ASK, ask, R_CLI, R_SUPERVISOR, P_ANY, 0, 0, 64, "what a command-line client wants") \
	X(PROCESS, process, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 2048, "status: one process") \
	X(LADDER, step, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 1024, \
	  "status: one step of the ladder") \
	X(PROBES, tracer, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 8192, "status: the tracer") \
	X(TROUBLE, trouble, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 4096, \
	  "status: attempts by how they ended, and what helpers and maps refused") \
	X(SUMMARY, summary, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 16384, \
	  "status: configuration, counters, ledger, hits of filters; the last of a status") \
	X(RECORDS, records, R_EXPORTER, R_CLI, P_ANY, 0, 0, 65536, \
	  "records as they came from the ring") \
	X(DONE, done, R_SUPERVISOR | R_EXPORTER, R_CLI, P_ANY, 0, 0, 1024, \
	  "the end of an answer, or why there is none") \
	X(CUSTODY, custody, R_SUPERVISOR, R_SUPERVISOR, P_ANY, 0, 48, 2048, \
	  "what a supervisor leaves to the next one, in a sealed memfd beside the fds") \
	X(NAT, nat, R_LOADER | R_SUPERVISOR, R_SUPERVISOR | R_EXPORTER, P_READY | P_RUNNING, 0, 2, \
	  64, "sockets that tell of address translation, or word that there are none") \
	X(TAKEN, taken, R_SUPERVISOR, R_LOADER, P_RUNNING, 0, 0, 64, \
	  "the tracer is in custody, the one before it is let go") \
	X(SOURCE, source, R_SUPERVISOR, R_CLI | R_POLLER, P_ANY, 0, 0, 16384, \
	  "status, and to report it: where configuration comes from, and what became of what " \
	  "came last") \
	X(HISTORY, history, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 8192, \
	  "what became of the last configurations") \
	X(IN_FORCE, in_force, R_SUPERVISOR, R_CLI, P_ANY, 0, 0, 16384, \
	  "the configuration in force, and which text each value comes from") \
	X(KEEP, keep, R_VERIFIER, R_SUPERVISOR, P_READY, 0, 0, 16384, \
	  "files that the store is to have, by their place in what was fetched") \
	X(POLLED, polled, R_POLLER, R_SUPERVISOR, P_RUNNING, 0, 0, 1024, \
	  "how polls end now: sent when that changes; if that is to be reported, after each poll")
/* clang-format on */

enum msg_type {
	MSG_NONE,
#define X(upper, lower, from, to, phases, fds_min, fds_max, frame_max, meaning) MSG_##upper,
	PROTO_MESSAGES(X)
#undef X
		MSG_TYPE_COUNT,
};

/* One row of the catalogue. */
struct proto_row {
	const char *name;
	const char *meaning;
	uint32_t from;   /* R_ set */
	uint32_t to;     /* R_ set */
	uint32_t phases; /* P_ set */
	uint32_t fds_min;
	uint32_t fds_max;
	uint32_t frame_max; /* bytes */
};

/* The row of a type, NULL for a type that does not exist. */
const struct proto_row *proto_row(uint64_t type);

/* "supervisor", "loader", ...; "unknown" for a number that is none. */
const char *proto_role_name(uint64_t role);

/* "starting", "ready", "running"; "unknown". */
const char *proto_phase_name(uint64_t phase);

#endif
