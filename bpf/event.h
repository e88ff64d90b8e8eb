/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the kernel side and user space: the record in the ring, the counters, and
 * the settings the BPF programs read. Both sides include this file and nothing else of each other.
 *
 * Everything here has fixed-width types, explicit padding and an assertion on its size. A change of
 * layout needs a new EVENT_VERSION.
 */
#ifndef CONNTRACE_EVENT_H
#define CONNTRACE_EVENT_H

#ifndef __bpf__
#include <stddef.h>
#include <stdint.h>
typedef uint8_t __ct_u8;
typedef uint16_t __ct_u16;
typedef uint32_t __ct_u32;
typedef uint64_t __ct_u64;
#else
typedef unsigned char __ct_u8;
typedef unsigned short __ct_u16;
typedef unsigned int __ct_u32;
typedef unsigned long long __ct_u64;
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

#ifndef EVENT_VERSION /* a test has an object of another one */
#define EVENT_VERSION 2u
#endif
#define EVENT_COMM_LEN 16u
#define EVENT_ADDR_LEN 16u

enum event_type {
	EVENT_OPEN = 1,     /* the connection is established; only with records.open */
	EVENT_UPDATE = 2,   /* a live connection that has changed, seen by the snapshot walk */
	EVENT_CLOSE = 3,    /* the connection ended, or the attempt failed (established_ns is 0) */
	EVENT_WALK = 4,     /* a walk ended; only walk_* mean anything; not counted */
	EVENT_LISTENER = 5, /* a listening socket has dropped more; counted as an update */
};

enum event_direction {
	DIRECTION_UNKNOWN = 0, /* the open was not seen */
	DIRECTION_OUTGOING = 1,
	DIRECTION_INCOMING = 2,
};

/* Where pid, uid and comm come from. Never from a softirq. */
enum event_owner {
	OWNER_UNKNOWN = 0,
	OWNER_CONNECT = 1, /* the process that called connect */
	OWNER_LISTEN = 2,  /* the process that called listen, inherited by the accepted socket */
	OWNER_CLOSE = 3,   /* the process that closed or shut down the socket */
	OWNER_ACCEPT = 4,  /* the process that called accept */
	OWNER_SEEDED = 5,  /* the process that had the socket open when the tracer began */
	OWNER_SEND = 6,    /* UDP: the process that sent the flow's first datagram */
	OWNER_RECEIVE = 7, /* UDP: the process that received it */
};

/* Which end was the first to send a FIN. */
enum event_closer {
	CLOSER_NONE = 0, /* none yet, or the connection ended without one */
	CLOSER_LOCAL = 1,
	CLOSER_REMOTE = 2,
};

/* event.cpu beyond the numbers of CPUs, see there */
#define EVENT_CPU_NESTED   0x4000u
#define EVENT_CPU_LATE     0x8000u
#define EVENT_CPU_WALK     0xffffu
#define EVENT_CPU_FLOW     0x10000u /* times the number of a UDP program, from 1 to 5 */
#define EVENT_CPU_CONNECT  0x60000u
#define EVENT_CPU_CONNECT6 0x70000u
#define EVENT_CPUS         0x80000u

/* event.flags */
#define EVENT_F_PARTIAL 1u /* the open was not seen: older than the tracer, or state was lost */
#define EVENT_F_SEEDED  2u /* partial, but known since the tracer began: it was open then */
#define EVENT_F_ASSURED 4u /* UDP: there was a reply, and another datagram after it */
#define EVENT_F_IDLE    8u /* UDP, EVENT_CLOSE: ended since nothing was sent or received any more */

/*
 * One record. Times are CLOCK_MONOTONIC nanoseconds, 0 = did not happen. Addresses are in network
 * byte order; an IPv4 address occupies the first 4 bytes and the rest is zero; IPv4-mapped IPv6 is
 * given as IPv4. Ports are in host byte order. "Local" is the end that this socket is.
 *
 * - bytes_sent: payload acknowledged by the peer (tcp_sock bytes_acked without SYN and FIN)
 * - bytes_received: payload received (bytes_received without FIN)
 * - srtt_us, rttvar_us: as tcp_get_info() reports tcpi_rtt and tcpi_rttvar
 * - min_rtt_us: tcp_min_rtt(), 0 when there was no sample
 * - state: as in include/net/tcp_states.h; in EVENT_CLOSE the state that was left for CLOSE
 * - error: sk_err at close, a positive errno, 0 = none; of a connect that failed at once what
 *   connect(2) returned
 * - lost: segments taken for lost (tcp_sock lost), reordered: times that reordering was seen
 *   (reord_seen), ecn_marked: segments delivered with a congestion mark (delivered_ce)
 * - process_ns: when the owning process began (task_struct start_boottime, CLOCK_BOOTTIME): with
 * pid it names the process for good
 * - cookie: bpf_get_socket_cookie(); where the programs cannot have it a number of our own, with
 *   the highest bit set
 * - cpu, seq: seq counts up by one for every record submitted or lost in the sequence that cpu
 *   names. Within one sequence the ring is in order, a gap is a loss, a repetition is a record
 *   delivered twice. A softirq can interrupt a walk or the destruction of a socket and write its
 *   own record first, so these have sequences of their own. For state changes cpu is the number of
 *   the CPU; EVENT_CPU_LATE | CPU for closes noticed when the socket was destroyed; EVENT_CPU_WALK
 *   for the snapshot walk (its update and walk records). EVENT_CPU_NESTED is added where a program
 *   interrupted itself, which kernels since 5.12 or so do not let happen. The programs for UDP have
 *   sequences of their own: EVENT_CPU_FLOW times the program's number is added; and so have those
 *   that see tcp_v4_connect() and tcp_v6_connect() fail: EVENT_CPU_CONNECT or EVENT_CPU_CONNECT6 is
 *   added. Always below EVENT_CPUS.
 *
 * A UDP flow is what one socket and one peer send each other. It differs in this:
 * - opened_ns: its first datagram, 0 if seeded; established_ns: 0; closed_ns: its last datagram, or
 * when it was seeded
 * - cookie: a number of the flow, not of the socket
 * - bytes_sent, bytes_received: payload handed to IP, and taken by a process; segs_out, segs_in:
 * the datagrams. What the network card or the kernel cuts up or puts together counts as the
 * datagrams that are or were on the wire
 * - direction: outgoing if the first datagram was sent, incoming if it was received; of a seeded
 * flow guessed from the ports
 * - state, error and what else is TCP's: 0
 *
 * Of a listening socket there are addresses (the remote one is 0), owner, cookie, netns, cgroup and
 * - state: LISTEN, or CLOSE in its last record
 * - drops: sk_drops, since the socket was made: tcp_listendrop(), which counts as ListenDrops, too,
 *   and segments that a filter or a policy keeps from it
 * - queue, queue_max: connections that wait for accept, and how many may (sk_ack_backlog,
 *   sk_max_ack_backlog)
 */
struct event {
	__ct_u16 size; /* sizeof(struct event) */
	__ct_u8 version;
	__ct_u8 type;      /* enum event_type */
	__ct_u8 protocol;  /* IPPROTO_TCP, IPPROTO_UDP */
	__ct_u8 family;    /* 4 or 6 */
	__ct_u8 direction; /* enum event_direction */
	__ct_u8 state;
	__ct_u32 cpu;
	__ct_u8 owner; /* enum event_owner */
	__ct_u8 flags;
	__ct_u16 error;
	__ct_u64 seq;
	union {
		__ct_u64 cookie;
		__ct_u64 walk_id; /* EVENT_WALK: settings.walk_id when the walk began */
	};
	__ct_u64 recorded_ns;
	union {
		__ct_u64 opened_ns;
		__ct_u64 walk_generation; /* EVENT_WALK: ledger.generation when the walk began */
	};
	__ct_u64 established_ns;
	__ct_u64 closed_ns;
	__ct_u64 cgroup_id;
	union {
		__ct_u64 bytes_sent;
		__ct_u64 walk_live; /* EVENT_WALK: live connections met */
		__ct_u64 drops;     /* EVENT_LISTENER, see above */
	};
	union {
		__ct_u64 bytes_received;
		__ct_u64 walk_left; /* EVENT_WALK: records of these left out or lost */
	};
	union {
		__ct_u32 segs_out;
		__ct_u32 walk_settings; /* EVENT_WALK: settings_slot.revision */
		__ct_u32 queue;         /* EVENT_LISTENER */
	};
	union {
		__ct_u32 segs_in;
		__ct_u32 queue_max;  /* EVENT_LISTENER */
		__ct_u32 walk_whole; /* EVENT_WALK: 1: over all sockets; 0: those of files */
	};
	__ct_u32 retransmits; /* segments, tcp_sock total_retrans */
	__ct_u32 srtt_us;
	__ct_u32 rttvar_us;
	__ct_u32 min_rtt_us;
	__ct_u32 netns; /* inode number of the network namespace */
	__ct_u32 pid;   /* process (tgid) in the initial pid namespace */
	__ct_u32 uid;   /* in the initial user namespace */
	__ct_u16 sport; /* local */
	__ct_u16 dport;
	__ct_u32 lost;
	__ct_u32 reordered;
	__ct_u32 ecn_marked;
	__ct_u8 ecn;    /* 1: both ends agreed on explicit congestion notification */
	__ct_u8 closer; /* enum event_closer */
	__ct_u16 pad;
	__ct_u64 process_ns;
	__ct_u8 saddr[EVENT_ADDR_LEN]; /* local */
	__ct_u8 daddr[EVENT_ADDR_LEN];
	char comm[EVENT_COMM_LEN]; /* NUL-padded, may be unterminated */
};

_Static_assert(sizeof(struct event) == 200, "event: size");
_Static_assert(offsetof(struct event, seq) == 16, "event: seq");
_Static_assert(offsetof(struct event, opened_ns) == 40, "event: opened_ns");
_Static_assert(offsetof(struct event, segs_out) == 88, "event: segs_out");
_Static_assert(offsetof(struct event, sport) == 124, "event: sport");
_Static_assert(offsetof(struct event, process_ns) == 144, "event: process_ns");
_Static_assert(offsetof(struct event, comm) == 184, "event: comm");

/*
 * Kernel counters, X(name, meaning). One slot per CPU in a mmapable array, each slot a struct
 * counters; the value is the sum over the slots. The identity that must hold:
 *
 *   opened_connect + opened_accept + opened_seeded + opened_partial + opened_flow = live + closed
 *   closed = filtered_close + sampled_close + lost_close + lost_unseen + submitted_close
 *   submitted_open + submitted_update + submitted_close + submitted_walk = what the reader handles
 */
/* clang-format off */
#define COUNTERS(X) \
	X(opened_connect, "outgoing connections begun (SYN_SENT), or connects that failed before") \
	X(opened_accept, "incoming connections established") \
	X(opened_seeded, "connections and connected UDP sockets, open when the tracer began") \
	X(opened_partial, "connections whose open was not seen, counted when they closed") \
	X(opened_flow, "UDP flows begun") \
	X(established, "connections established, both directions") \
	X(closed, "connections ended, failed attempts included, and UDP flows ended") \
	X(submitted_open, "open records put into the ring") \
	X(submitted_update, "update records put into the ring") \
	X(submitted_close, "close records put into the ring") \
	X(submitted_walk, "ends of walks put into the ring: no records") \
	X(filtered_open, "open records not made because of a filter") \
	X(filtered_update, "update records not made because of a filter") \
	X(filtered_close, "close records not made because of a filter") \
	X(sampled_open, "open records not made because a filter takes a sample") \
	X(sampled_update, "update records not made because a filter takes a sample") \
	X(sampled_close, "close records not made because a filter takes a sample") \
	X(lost_open, "open records lost: ring full") \
	X(lost_update, "update records lost: ring full") \
	X(lost_close, "close records lost: ring full") \
	X(deferred_update, "update records not made because the ring stayed half full") \
	X(lost_unseen, "connections whose end no program saw: no close record") \
	X(lost_flow_full, "datagrams of UDP flows for which the table had no room") \
	X(storage_failed, "no room to remember a connection; the close is reported as partial") \
	X(missed_connect, "by kprobes: connects whose return no program saw, and those under way") \
	X(closed_late, "closes reported when the socket was destroyed: the state change was missed") \
	X(run_set_state, "runs of trace_set_state that concerned a TCP connection") \
	X(run_listen, "runs of trace_listen") \
	X(run_accept, "runs of trace_accept") \
	X(run_child, "runs of trace_child") \
	X(run_connect, "runs of trace_connect and trace_connect6 for a connect that failed at once") \
	X(run_destroy, "runs of trace_destroy_sock for a connection still remembered") \
	X(remembered, "TCP sockets of which something began to be remembered") \
	X(destroyed, "TCP sockets destroyed of which something was remembered") \
	X(run_udp_send, "runs of trace_udp_send and trace_udp6_send") \
	X(run_udp_receive, "runs of trace_udp_recv, not for a look ahead") \
	X(run_udp_end, "runs of trace_udp_end and trace_udp6_end for a socket with flows") \
	X(run_walk, "runs of the walk: sockets and UDP flows visited") \
	X(run_seed, "runs of seed_sockets: TCP and, at first, connected UDP sockets met") \
	X(unaccounted, "connections found open later whose begin no program saw; also opened_seeded")
/* clang-format on */

struct counters {
#define X(name, meaning) __ct_u64 name;
	COUNTERS(X)
#undef X
};
_Static_assert(sizeof(struct counters) == 320, "counters: size, and a multiple of a cache line");

/* CPUs counted apart; a CPU with a higher number shares the slot of number % COUNTER_SLOTS. */
#define COUNTER_SLOTS 256u

/*
 * What helpers and maps answered when they failed, X(name, meaning): a row for each, with a count
 * for each errno, in a mmapable array. Helpers that only give a NULL count as errno 0.
 */
/* clang-format off */
#define TELEMETRY(X) \
	X(map_connections, "socket storage: no room") \
	X(map_conn_table, "table of connections: entry not made") \
	X(map_flow_table, "table of UDP flows: entry not made") \
	X(map_flow_sockets, "table of UDP sockets with flows: entry not made") \
	X(map_connects, "table of connects under way (kprobes): entry not made") \
	X(map_ring, "ring: full") \
	X(helper_read, "kernel memory that could not be read") \
	X(helper_pidns, "process outside the tracer's pid namespace (tenant filter)")
/* clang-format on */

enum telemetry_row {
#define X(name, meaning) TELEMETRY_##name,
	TELEMETRY(X)
#undef X
		TELEMETRY_ROWS,
};

/* errno 0 to 62 each; the last one is all others. */
#define TELEMETRY_ERRNOS 64u

struct telemetry {
	__ct_u64 count[TELEMETRY_ERRNOS];
};
_Static_assert(sizeof(struct telemetry) == 512, "telemetry: size");

/*
 * What the exporter did with the records, X(name, meaning): one struct ledger in a mmapable array
 * that the exporter writes and the supervisor shows. It outlives an exporter, as the ring does.
 */
/* clang-format off */
#define LEDGER(X) \
	X(delivered_open, "open records written to the sink") \
	X(delivered_update, "update records written to the sink") \
	X(delivered_close, "close records written to the sink") \
	X(delivered_bytes, "bytes written to the sink") \
	X(handled_walk, "ends of walks handled") \
	X(dropped_malformed, "records, and ends of walks, refused by the decoder") \
	X(dropped_sink_open, "open records the sink did not take") \
	X(dropped_sink_update, "update records the sink did not take") \
	X(dropped_sink_close, "close records the sink did not take") \
	X(sink_errors, "failed writes to the sink") \
	X(table_full, "live connections not listed because the table was full") \
	X(clients_dropped, "records not shown to a command-line client that read too slowly") \
	X(told_lost_open, "of lost_open, told by loss markers") \
	X(told_lost_update, "of lost_update") \
	X(told_lost_close, "of lost_close") \
	X(told_deferred, "of deferred_update") \
	X(told_unseen, "of lost_unseen") \
	X(told_malformed, "of dropped_malformed") \
	X(told_sink_open, "of dropped_sink_open") \
	X(told_sink_update, "of dropped_sink_update") \
	X(told_sink_close, "of dropped_sink_close")
/* clang-format on */

#define LEDGER_LOSSES 9u /* kinds of loss: exporter/loss.h */

struct ledger {
#define X(name, meaning) __ct_u64 name;
	LEDGER(X)
#undef X
	__ct_u64 began_ns; /* CLOCK_REALTIME, when the first exporter began; 0 = none has */
	/* By kind of loss, CLOCK_MONOTONIC: whatever was lost until then has been told. 0 = no
	   exporter has looked. */
	__ct_u64 told_until_ns[LEDGER_LOSSES];
	/* Raised when the exporter wants each live connection once more, changed or not. */
	__ct_u64 generation;
};
_Static_assert(sizeof(struct ledger) == 256, "ledger: size");

/*
 * A filter: a connection matches when all of its conditions that are set hold: an address and a
 * port for either end (the same end need not satisfy both). The first filter that matches decides;
 * none matching = recorded.
 */
enum filter_action { FILTER_EXCLUDE = 0, FILTER_INCLUDE = 1 };

#define FILTERS_MAX 16u
#define SAMPLE_MAX  1000000u

/* filter.families, settings_slot.families */
#define FAMILY_IPV4 1u
#define FAMILY_IPV6 2u

/* settings.connect_returns */
#define RETURNS_CONNECT  1u /* tcp_v4_connect() */
#define RETURNS_CONNECT6 2u /* tcp_v6_connect() */

/* filter.protocols */
#define PROTOCOL_TCP 1u
#define PROTOCOL_UDP 2u

/* A condition that is not set allows everything, so that nobody need ask whether it is. */
struct filter {
	__ct_u8 action;      /* enum filter_action */
	__ct_u8 families;    /* of addr; both = no address condition */
	__ct_u8 prefix_bits; /* 0 without an address condition */
	__ct_u8 protocols;   /* both = no such condition */
	__ct_u16 port_low;   /* from 0 to 65535 = no such condition */
	__ct_u16 port_high;
	__ct_u32 addr[4];   /* network byte order, host bits zero */
	__ct_u32 mask[4];   /* network byte order */
	__ct_u32 by_cgroup; /* 1: it has an entry in settings_slot.cgroups; 0: no such condition */
	__ct_u32 sample;    /* with FILTER_INCLUDE: one in so many is recorded; 0 = all */
};
_Static_assert(sizeof(struct filter) == 48, "filter: size");

/*
 * The cgroup that a filter is about, and all below it. Who writes it keeps the ids up to date while
 * the slot is in force, each with one store.
 */
struct filter_cgroup {
	__ct_u64 id;     /* inode number of its directory; 0 = there is no such cgroup now */
	__ct_u64 before; /* of the one that had the name before: its connections end later; 0 = none
			  */
	__ct_u32 filter; /* which one, from 0 */
	__ct_u32 path;   /* a hash, for who writes: whether an earlier writer meant the same */
};
_Static_assert(sizeof(struct filter_cgroup) == 24, "filter_cgroup: size");

/*
 * What the programs read at run time: two slots in a mmapable array and the number of the one in
 * force. A writer fills the other slot, then changes active with one store. No bpf(2) is needed.
 */
struct settings_slot {
	__ct_u32 generation; /* configuration version */
	__ct_u32 families;
	__ct_u32 record_open; /* 0 or 1 */
	__ct_u32 filter_count;
	__ct_u32 cgroup_count;
	__ct_u32 revision; /* another one whenever the filters mean something else; never 0 */
	struct filter filters[FILTERS_MAX];
	struct filter_cgroup cgroups[FILTERS_MAX];
};
_Static_assert(sizeof(struct settings_slot) == 1176, "settings_slot: size");

struct settings {
	__ct_u32 active; /* 0 or 1 */
	__ct_u32 seeded; /* 1: what was open before the tracer is known; more is unaccounted for */
	__ct_u32 connect_returns; /* RETURNS_: whose failure is seen where the function returns */
	__ct_u32 seeds_flows; /* 1: UDP is traced, so connected sockets older than the tracer count
			       */
	__ct_u64 walk_id; /* of the snapshot walk under way; 0 = on the tick, nobody asked for it */
	__ct_u64 walk_waits_until_ns; /* for room in the ring; CLOCK_MONOTONIC */
	/* Which tracer's programs act on what the hooks bring: those of constants.generation. */
	__ct_u32 generation;
	/* That of a tracer that takes over from another with its maps; 0 = none. While it is set
	   both act on connections, and who comes first to a change of state has it. */
	__ct_u32 takeover;
	__ct_u32 layout;       /* SETTINGS_LAYOUT of who made these maps */
	__ct_u32 room;         /* enum settings_room */
	__ct_u64 walk_seq;     /* the next number of EVENT_CPU_WALK */
	__ct_u64 walk_met;     /* by the last whole walk, older than itself */
	__ct_u64 walk_sockets; /* by the same: those with storage */
	__ct_u64 unmarked;     /* by the programs: sockets whose end is not remembered for want of
				  memory */
	__ct_u64 walker; /* by the programs: pid of the process that walks, as they see it; 0 = not
			    yet known */
	struct settings_slot slots[2];
};
_Static_assert(sizeof(struct settings) == 2440, "settings: size");
_Static_assert(offsetof(struct settings, generation) == 32, "settings: test_succession.py, too");
_Static_assert(offsetof(struct settings, layout) == 40, "settings: test_succession.py, too");

/* Raised when what a map holds means something else without having another size. */
#define SETTINGS_LAYOUT 5u

/* Whether there is room to remember connections. Of a table, whose limit the kernel knows, never
 * NONE. */
enum settings_room {
	ROOM_LEFT,
	ROOM_NONE,  /* no more is remembered in sockets' storage */
	ROOM_AGAIN, /* as ROOM_LEFT; but there are connections which nothing is remembered of */
};

/*
 * How often each filter decided about a record, in a mmapable array: for each settings slot a row a
 * filter, in it a count for each type of record by its number (enum event_type), and in place 0
 * those that were left out by the filter's sample. Listeners count as updates. Who fills a settings
 * slot clears its rows first, so the counts are those of one configuration. The value is the sum
 * over the CPUs.
 */
#define HITS_NONE    FILTERS_MAX /* the row of records that no filter matched, if there are some */
#define HITS_SAMPLED 0u
#define HITS_COLUMNS 4u
#define HITS_SLOTS   64u /* CPUs counted apart, as COUNTER_SLOTS */

struct hits {
	__ct_u64 of[2][FILTERS_MAX + 1][HITS_COLUMNS];
};
_Static_assert(sizeof(struct hits) == 1088, "hits: size, and a multiple of a cache line");
_Static_assert(EVENT_CLOSE < HITS_COLUMNS, "hits: a column for each type");

/*
 * What is fixed when the programs are loaded: the only thing in the data section CONSTANTS_SECTION.
 * The verifier knows the values, so what they rule out is not even looked at: a helper that an old
 * kernel lacks may stand there.
 */
struct constants {
	__ct_u64 ring_wakeup_bytes; /* wake the reader when this much is waiting in the ring */
	__ct_u64 ring_defer_bytes;  /* no update records beyond: the rest is for opens and closes */
	/* Tenant filter: only processes of this pid namespace count. Device as the kernel encodes
	   it (dev_t), inode number of /proc/PID/ns/pid; both 0 = no filter. */
	__ct_u64 pidns_dev;
	__ct_u64 pidns_ino;
	__ct_u32 socket_storage; /* 1: these programs may use socket storage; 0: the table */
	__ct_u32 socket_cookie;  /* 1: these programs may call bpf_get_socket_cookie() */
	__ct_u16 ephemeral_low;  /* net.ipv4.ip_local_port_range; both 0 = not known */
	__ct_u16 ephemeral_high;
	__ct_u32 helper_read; /* 1: these programs may read kernel memory by a helper */
	/* A UDP flow without a datagram for so long has ended. */
	__ct_u64 flow_idle_ns;
	__ct_u64 flow_idle_assured_ns;
	__ct_u32 generation; /* of the tracer, from 1 */
	__ct_u32 pad;
};
_Static_assert(sizeof(struct constants) == 72, "constants: size");

#define CONSTANTS_SECTION ".rodata.constants"

/* Names of the maps; the manifest that travels with their fds uses them. */
#define MAP_RING         "ring"
#define MAP_COUNTERS     "counters"
#define MAP_LEDGER       "ledger"
#define MAP_SETTINGS     "settings"
#define MAP_HITS         "hits"
#define MAP_TELEMETRY    "telemetry"
#define MAP_CONNECTIONS  "connections"
#define MAP_CONN_TABLE   "conn_table"
#define MAP_FLOW_TABLE   "flow_table"
#define MAP_FLOW_SOCKETS "flow_sockets"
#define MAP_FLOW_WORKS   "flow_works"
#define MAP_WORKS        "works"
#define MAP_COOKIES      "cookies"

/* Names of the programs, the same in every object that has one for it. */
#define PROGRAM_SET_STATE  "trace_set_state"
#define PROGRAM_LISTEN     "trace_listen"
#define PROGRAM_ACCEPT     "trace_accept"
#define PROGRAM_CHILD      "trace_child"
#define PROGRAM_DESTROY    "trace_destroy_sock"
#define PROGRAM_WALK       "walk_connections"
#define PROGRAM_WALK_TABLE "walk_table"
#define PROGRAM_SEED       "seed_sockets"
#define PROGRAM_CONNECT    "trace_connect"
#define PROGRAM_CONNECT6   "trace_connect6"
#define PROGRAM_ENTER      "trace_enter"
#define PROGRAM_ENTER6     "trace_enter6"
#define PROGRAM_UDP_SEND   "trace_udp_send"
#define PROGRAM_UDP6_SEND  "trace_udp6_send"
#define PROGRAM_UDP_RECV   "trace_udp_recv"
#define PROGRAM_UDP_END    "trace_udp_end"
#define PROGRAM_UDP6_END   "trace_udp6_end"
#define PROGRAM_WALK_FLOWS "walk_flows"

#endif
