/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor's state: one struct, passed down. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/dispatch.h"
#include "common/loop.h"
#include "common/msg.h"
#include "supervisor/life.h"
#include "supervisor/notify.h"
#include "supervisor/options.h"
#include "supervisor/probation.h"
#include "supervisor/rate.h"
#include "supervisor/store.h"

struct supervisor;

/* One child: its life, its process and its channel. */
struct proc {
	struct supervisor *sup;
	enum role role;
	enum phase phase;
	struct life life;
	struct rate rate; /* of its messages */
	pid_t pid;        /* 0 = none */
	int pidfd;        /* -1 = none */
	int channel;      /* -1 = closed */
	uint64_t started_ns;
	pid_t ladder_of;           /* whose steps the ladder shows */
	char reason[MSG_TEXT_MAX]; /* why it is being ended, or what its FAIL said */
	char last[MSG_TEXT_MAX];   /* how the one before ended */
	char words[192];           /* what is known of the last crash */
	uint32_t exit_code;        /* that its FAIL asked for; 0 = it sent none */
	struct msg_stats stats;
};

/* The tracer's fds, kept so that tracing outlives the loader. custody.c */
struct custody {
	struct msg_manifest manifest;
	int fds[PROTO_FDS_MAX];
	const struct counters *counters;   /* COUNTER_SLOTS of them, mapped; NULL = none */
	const struct ledger *ledger;       /* mapped; NULL = none */
	const struct telemetry *telemetry; /* TELEMETRY_ROWS of them, mapped; NULL = none */
	const struct settings *settings;   /* mapped; NULL = none */
	const struct hits *hits;           /* HITS_SLOTS of them, mapped; NULL = none */
};

#define NAT_FDS 2u /* events, dump */

/* Sockets that tell of address translation, between the loader and the exporter. nat.c */
struct nat {
	enum { NAT_AWAITED, NAT_NONE, NAT_HELD, NAT_SPENT } state; /* what the loader brought */
	uint32_t netns;
	int fds[NAT_FDS]; /* -1 = none */
	uint64_t renewed_ms;
	uint64_t overruns; /* of the exporter that runs, for which fresh ones were fetched */
};

/* Configuration text: one memfd, and what lies where in it. */
struct texts {
	int fd; /* -1 = none */
	uint32_t len_bytes;
	struct msg_candidate what; /* no parts for the local file */
};

/* From texts to the configuration in force. configure.c */
struct configure {
	int dir_fd; /* of the local file, so that it is found after root is gone */
	char name[CONFIG_NAME_MAX];
	struct texts local;        /* the local file, in force */
	struct texts source;       /* what was fetched, in force */
	struct texts trial_local;  /* under check; none = local is */
	struct texts trial_source; /* under check; none = source is */
	struct texts waiting;      /* fetched, to be checked next */
	int spacing_fd;            /* timer of the next check of what was fetched; 0 = none yet */
	uint64_t spaced_until_ms;  /* not before this */
	bool reload_waiting;       /* SIGHUP while a check was under way */
	bool checking;
	bool again; /* what was refused last may be accepted at another time */
	bool held;  /* the children wait for what is stored of a source to be checked */
	struct msg_config current;     /* version 0 = none yet */
	struct config_origins origins; /* its */
};

/* What became of configurations, for who asks. verdict.c */
struct verdicts {
	struct msg_source source; /* probation_left_ms is not kept */
	struct msg_history history;
};

#define REJECTED_MAX 8u

/* Probation of what a source sent, and the way back. rollout.c */
struct rollout {
	struct probation probation;
	int end_fd;                  /* timer of its end; 0 = none was needed yet */
	struct texts proven;         /* what the source had sent before; none = nothing */
	struct config proven_config; /* in force with that */
	struct config_origins proven_origins;
	uint32_t rejected_count; /* ever; the last REJECTED_MAX are known */
	struct {
		uint64_t digest; /* of the configuration that it makes */
		char why[MSG_TEXT_MAX];
	} rejected[REJECTED_MAX];
};

/* Where configuration comes from besides the local file, and what became of it. remote.c */
struct remote {
	char place[CONFIG_PATH_MAX]; /* that store and root are of */
	int root_fd;                 /* memfd: the trusted root; -1 = none, root_err says why */
	uint32_t root_len;
	int root_err;
	struct store store;
	struct msg_signed in_force; /* on probation or not */
	struct msg_signed proven;   /* in force for good */
	struct msg_signed last;     /* what became of what came last */
	uint32_t expired_told;      /* roles, by bit */
	struct msg_polled polled;
};

#define LADDER_MAX  48u
#define CLIENTS_MAX 16u

/* A command-line client that hasn't asked yet. */
struct client {
	struct supervisor *sup;
	int fd; /* -1 = free */
	uint64_t deadline_ms;
};

struct control {
	int fd; /* -1 = none */
	int timer_fd;
	gid_t group;
	char path[108];
	struct client clients[CLIENTS_MAX];
};

enum upgrade_state {
	UPGRADE_NONE,
	UPGRADE_TRYING,  /* what is installed is checked */
	UPGRADE_LEAVING, /* the children end, then it is executed */
};

/* Executing the conntraced that is installed now in this one's stead. upgrade.c */
struct upgrade {
	enum upgrade_state state;
	int self_fd;             /* directory of this program */
	char name[NAME_MAX + 1]; /* in it */
	uint32_t count;          /* begun */
	char last[MSG_TEXT_MAX]; /* why the last one was refused */
	int pidfd;               /* of the trial; -1 = none */
	int timer_fd;            /* its deadline */
};

struct supervisor {
	struct options options;
	struct loop loop;
	int signal_fd;
	int timer_fd;   /* next deadline of a child */
	int program_fd; /* directory of the children's programs */
	int object_fd;  /* directory of the BPF objects */
	struct proc procs[ROLE_COUNT];
	struct custody custody;
	struct {
		uint32_t generation; /* 0 = none */
		uint32_t fd_count;
	} stored; /* in the service manager's fd store */
	struct nat nat;
	uint32_t
		ring_bytes; /* of the ring in custody: after a change not yet the configuration's */
	struct configure configure;
	struct rollout rollout;
	struct verdicts verdicts;
	struct remote remote;
	struct control control;
	struct notify notify;
	struct upgrade upgrade;
	struct msg_step ladder[LADDER_MAX];
	uint32_t ladder_count;
	struct msg_tracer tracer; /* as the loader last described it; no probes = not yet */
	uint64_t outcomes[TRACER_COUNT][OUTCOME_COUNT];
	uint64_t started_ns;
	uint64_t unaccounted_told;       /* of the counter, in the log */
	uint64_t unaccounted_allowed_ms; /* not again before this */
	uint64_t walk_id;
	uint64_t walk_allowed_ms; /* no walk on a client's demand before this */
	bool up;                  /* has traced: a failing child no longer ends the start */
	bool stopping;
	int exit_code;
	uint8_t frame[PROTO_FRAME_MAX];
	union msg room;
};

#endif
