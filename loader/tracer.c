/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/tracer.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/event.h"

#define WALK_SOCKETS \
	{ \
		PROGRAM_WALK, "bpf_sk_storage_map", PROBE_WALK, FEATURE_iter_storage, \
			STORE_SOCKET, false, "live connections are not listed" \
	}
#define WALK_TABLE \
	{ \
		PROGRAM_WALK_TABLE, "bpf_map_elem", PROBE_WALK, FEATURE_iter_map, STORE_TABLE, \
			false, "live connections are not listed" \
	}

#define SEED \
	{ \
		PROGRAM_SEED, "task_file", PROBE_SEED, FEATURE_sock_from_file, STORE_ANY, false, \
			"connections older than the tracer are not known before they end" \
	}

/*
 * UDP: where a packet is handed to IP, where a process takes one, and where a socket ends. The same
 * by fentry and by kprobe; the arguments differ in no kernel.
 */
#define UDP(kind) \
	{PROGRAM_UDP_SEND, \
	 "udp_send_skb", \
	 kind, \
	 FEATURE_fn_udp_send_skb, \
	 STORE_ANY, \
	 false, \
	 "what is sent by UDP over IPv4 is not counted", \
	 PART_UDP}, \
		{PROGRAM_UDP6_SEND, \
		 "udp_v6_send_skb", \
		 kind, \
		 FEATURE_fn_udp_v6_send_skb, \
		 STORE_ANY, \
		 false, \
		 "what is sent by UDP over IPv6 is not counted", \
		 PART_UDP}, \
		{PROGRAM_UDP_RECV, \
		 "skb_consume_udp", \
		 kind, \
		 FEATURE_fn_skb_consume_udp, \
		 STORE_ANY, \
		 false, \
		 "what is received by UDP is not counted", \
		 PART_UDP}, \
		{PROGRAM_UDP_END, \
		 "udp_destroy_sock", \
		 kind, \
		 FEATURE_fn_udp_destroy_sock, \
		 STORE_ANY, \
		 false, \
		 "UDP flows of IPv4 sockets end only when they are idle", \
		 PART_UDP}, \
		{PROGRAM_UDP6_END, \
		 "udpv6_destroy_sock", \
		 kind, \
		 FEATURE_fn_udpv6_destroy_sock, \
		 STORE_ANY, \
		 false, \
		 "UDP flows of IPv6 sockets end only when they are idle", \
		 PART_UDP}, \
	{ \
		PROGRAM_WALK_FLOWS, "bpf_map_elem", PROBE_WALK_FLOWS, FEATURE_iter_map, STORE_ANY, \
			false, "UDP flows are not ended when they are idle", PART_UDP \
	}

/* Where a function for connect(2) returns, and, for kprobes, is entered. */
#define CONNECT_ROW(program, function, kind) \
	{ \
		program, #function, kind, FEATURE_fn_##function, STORE_ANY, false, \
			"its connects that fail at once are not recorded", PART_CONNECT \
	}
#define CONNECT(kind) \
	CONNECT_ROW(PROGRAM_CONNECT, tcp_v4_connect, kind), \
		CONNECT_ROW(PROGRAM_CONNECT6, tcp_v6_connect, kind)
#define ENTER \
	CONNECT_ROW(PROGRAM_ENTER, tcp_v4_connect, PROBE_KPROBE), \
		CONNECT_ROW(PROGRAM_ENTER6, tcp_v6_connect, PROBE_KPROBE)

/* The same functions, whether by fentry or by kprobe. Their arguments differ in no kernel. */
#define FUNCTIONS(kind) \
	{ \
		PROGRAM_SET_STATE, \
		"tcp_set_state", \
		kind, \
		FEATURE_fn_tcp_set_state, \
		STORE_ANY, \
		true, \
		NULL}, \
		{PROGRAM_DESTROY, \
		 "inet_csk_destroy_sock", \
		 kind, \
		 FEATURE_fn_inet_csk_destroy_sock, \
		 STORE_ANY, \
		 true, \
		 NULL}, \
		{PROGRAM_LISTEN, \
		 "inet_csk_listen_start", \
		 kind, \
		 FEATURE_fn_inet_csk_listen_start, \
		 STORE_ANY, \
		 false, \
		 "an accepted connection has no owner before accept"}, \
		{PROGRAM_ACCEPT, \
		 "security_sock_graft", \
		 kind, \
		 FEATURE_fn_security_sock_graft, \
		 STORE_ANY, \
		 false, \
		 "an accepted connection belongs to its listener until it closes"}, \
	{ \
		PROGRAM_CHILD, "tcp_child_process", kind, FEATURE_fn_tcp_child_process, \
			STORE_TABLE, false, "an accepted connection has no owner before accept" \
	}

static const struct tracer_type types[TRACER_COUNT] = {
	[TRACER_FENTRY] = {.name = "fentry",
			   .object = "tracer-fentry.bpf.o",
			   .probes = {FUNCTIONS(PROBE_FENTRY), WALK_SOCKETS, WALK_TABLE, SEED,
				      UDP(PROBE_FENTRY), CONNECT(PROBE_FEXIT)},
			   .probe_count = 16},
	[TRACER_TRACEPOINT] = {.name = "tracepoint",
			       .object = "tracer-tracepoint.bpf.o",
			       .probes = {{PROGRAM_SET_STATE, "inet_sock_set_state",
					   PROBE_TRACEPOINT, FEATURE_tp_inet_sock_set_state,
					   STORE_ANY, true, NULL},
					  {PROGRAM_DESTROY, "tcp_destroy_sock", PROBE_TRACEPOINT,
					   FEATURE_tp_tcp_destroy_sock, STORE_ANY, true, NULL},
					  WALK_SOCKETS,
					  WALK_TABLE,
					  SEED,
					  UDP(PROBE_FENTRY),
					  CONNECT(PROBE_FEXIT)},
			       .probe_count = 13},
	[TRACER_KPROBE] = {.name = "kprobe",
			   .object = "tracer-kprobe.bpf.o",
			   .probes = {FUNCTIONS(PROBE_KPROBE), WALK_TABLE, SEED, UDP(PROBE_KPROBE),
				      CONNECT(PROBE_KRETPROBE), ENTER},
			   .probe_count = 17},
};

const struct tracer_type *tracer_type(enum config_tracer which)
{
	return &types[which];
}

static const struct tracer_map_row maps[TRACER_MAPS] = {
	[TRACER_RING] = {FD_RING, MAP_RING, BPF_MAP_TYPE_RINGBUF, 0, 0},
	[TRACER_COUNTERS] = {FD_COUNTERS, MAP_COUNTERS, BPF_MAP_TYPE_ARRAY, sizeof(struct counters),
			     COUNTER_SLOTS},
	[TRACER_LEDGER] = {FD_LEDGER, MAP_LEDGER, BPF_MAP_TYPE_ARRAY, sizeof(struct ledger), 1},
	[TRACER_SETTINGS] = {FD_SETTINGS, MAP_SETTINGS, BPF_MAP_TYPE_ARRAY, sizeof(struct settings),
			     1},
	[TRACER_TELEMETRY] = {FD_TELEMETRY, MAP_TELEMETRY, BPF_MAP_TYPE_ARRAY,
			      sizeof(struct telemetry), TELEMETRY_ROWS},
	[TRACER_HITS] = {FD_HITS, MAP_HITS, BPF_MAP_TYPE_ARRAY, sizeof(struct hits), HITS_SLOTS},
	[TRACER_CONNECTIONS] = {FD_MAP, MAP_CONNECTIONS, BPF_MAP_TYPE_SK_STORAGE, 0, 0},
	[TRACER_FLOWS] = {FD_MAP, MAP_FLOW_TABLE, BPF_MAP_TYPE_HASH, 0, 0},
	[TRACER_FLOW_SOCKETS] = {FD_MAP, MAP_FLOW_SOCKETS, BPF_MAP_TYPE_HASH, 0, 0},
	[TRACER_FLOW_WORKS] = {FD_MAP, MAP_FLOW_WORKS, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 0},
	[TRACER_WORKS] = {FD_MAP, MAP_WORKS, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 0},
	[TRACER_COOKIES] = {FD_MAP, MAP_COOKIES, BPF_MAP_TYPE_PERCPU_ARRAY, 0, 0},
};

static const struct tracer_map_row table = {FD_MAP, MAP_CONN_TABLE, BPF_MAP_TYPE_HASH, 0, 0};

const struct tracer_map_row *tracer_map(enum tracer_map which, enum probe_store store)
{
	return which == TRACER_CONNECTIONS && store == STORE_TABLE ? &table : &maps[which];
}

/* --- its fds --- */

static void fill(int *fds, size_t count, int value)
{
	for (size_t i = 0; i < count; i++)
		fds[i] = value;
}

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	fill(fds, count, -1);
}

void tracer_init(struct tracer *tracer)
{
	*tracer = (struct tracer){.type = NULL};
	fill(tracer->maps, TRACER_MAPS, -1);
	fill(tracer->programs, TRACER_PROBES_MAX, -1);
	fill(tracer->links, TRACER_PROBES_MAX, -1);
}

void tracer_close(struct tracer *tracer)
{
	close_all(tracer->links, TRACER_PROBES_MAX);
	close_all(tracer->programs, TRACER_PROBES_MAX);
	close_all(tracer->maps, TRACER_MAPS);
	tracer_init(tracer);
}

static int link_of(const struct tracer *tracer, enum probe_kind kind)
{
	for (uint32_t i = 0; tracer->type && i < tracer->type->probe_count; i++)
		if (tracer->type->probes[i].kind == kind && tracer->links[i] >= 0)
			return tracer->links[i];
	return -1;
}

/* Whether all programs at that function are attached: by kprobes there are two. */
static bool all_attached(const struct tracer *tracer, const char *function)
{
	bool any = false;

	for (uint32_t i = 0; i < tracer->type->probe_count; i++) {
		const struct probe *probe = &tracer->type->probes[i];

		if (probe->part != PART_CONNECT || strcmp(probe->hook, function) != 0)
			continue;
		if (tracer->links[i] < 0)
			return false;
		any = true;
	}
	return any;
}

uint32_t tracer_connect_returns(const struct tracer *tracer)
{
	return (all_attached(tracer, "tcp_v4_connect") ? RETURNS_CONNECT : 0) |
	       (all_attached(tracer, "tcp_v6_connect") ? RETURNS_CONNECT6 : 0);
}

bool tracer_traces_udp(const struct tracer *tracer)
{
	bool seen = false;

	for (uint32_t i = 0; i < tracer->type->probe_count; i++)
		seen |= tracer->type->probes[i].part == PART_UDP &&
			tracer->type->probes[i].kind != PROBE_WALK_FLOWS && tracer->links[i] >= 0;
	return seen && tracer_flow_link(tracer) >= 0;
}

int tracer_walk_link(const struct tracer *tracer)
{
	return link_of(tracer, PROBE_WALK);
}

int tracer_flow_link(const struct tracer *tracer)
{
	return link_of(tracer, PROBE_WALK_FLOWS);
}

int tracer_seed_link(const struct tracer *tracer)
{
	return link_of(tracer, PROBE_SEED);
}

/* --- the manifest: the one order in which the fds of a tracer are gone through --- */

static uint32_t link_kind(const struct probe *probe)
{
	return probe->kind >= PROBE_WALK ? FD_ITER : FD_LINK;
}

static void list(struct msg_manifest *manifest, int *fds, uint32_t kind, const char *name, int fd)
{
	uint32_t i = manifest->fd_count;

	if (fd < 0)
		return;
	manifest->fds[i].kind = kind;
	snprintf(manifest->fds[i].name, sizeof(manifest->fds[i].name), "%s", name);
	fds[i] = fd;
	manifest->fd_count++;
}

_Static_assert(TRACER_MAPS + 2 * TRACER_PROBES_MAX < PROTO_FDS_MAX,
	       "tracer: its fds, and the directory beside them, fit into one message");

void tracer_manifest(const struct tracer *tracer, struct msg_manifest *manifest, int *fds)
{
	memset(manifest, 0, sizeof(*manifest));
	manifest->identity = tracer->identity;
	manifest->generation = tracer->generation;
	for (int i = 0; i < TRACER_MAPS; i++) {
		const struct tracer_map_row *row = tracer_map((enum tracer_map)i, tracer->store);

		list(manifest, fds, row->fd_kind, row->name, tracer->maps[i]);
	}
	for (uint32_t i = 0; i < tracer->type->probe_count; i++) {
		const struct probe *probe = &tracer->type->probes[i];

		list(manifest, fds, FD_PROGRAM, probe->program, tracer->programs[i]);
		list(manifest, fds, link_kind(probe), probe->program, tracer->links[i]);
	}
}

void tracer_inherit(struct tracer_inheritance *inheritance, const struct msg_manifest *manifest,
		    struct dispatch_fds *fds, enum fd_kind but)
{
	struct msg_manifest *ours = &inheritance->manifest;

	*ours = (struct msg_manifest){.identity = manifest->identity,
				      .generation = manifest->generation};
	fill(inheritance->fds, PROTO_FDS_MAX, -1);
	for (uint32_t i = 0; i < manifest->fd_count && i < fds->count; i++) {
		int fd = manifest->fds[i].kind == but ? -1 : dispatch_take_fd(fds, i);

		if (fd < 0)
			continue;
		ours->fds[ours->fd_count] = manifest->fds[i];
		inheritance->fds[ours->fd_count++] = fd;
	}
}

void tracer_disinherit(struct tracer_inheritance *inheritance)
{
	close_all(inheritance->fds, PROTO_FDS_MAX);
	inheritance->manifest.fd_count = 0;
}

/* The fd of that kind and name, which then is the caller's; -1 = there is none. */
static int take(struct tracer_inheritance *inheritance, uint32_t kind, const char *name)
{
	const struct msg_manifest *manifest = &inheritance->manifest;

	for (uint32_t i = 0; i < manifest->fd_count; i++) {
		int fd = inheritance->fds[i];

		if (manifest->fds[i].kind != kind || strcmp(manifest->fds[i].name, name) != 0)
			continue;
		inheritance->fds[i] = -1;
		return fd;
	}
	return -1;
}

void tracer_take(struct tracer *tracer, const struct tracer_type *type, enum probe_store store,
		 struct tracer_inheritance *inheritance)
{
	tracer_init(tracer);
	tracer->type = type;
	tracer->store = store;
	tracer->identity = inheritance->manifest.identity;
	tracer->generation = inheritance->manifest.generation;
	for (int i = 0; i < TRACER_MAPS; i++) {
		const struct tracer_map_row *row = tracer_map((enum tracer_map)i, store);

		tracer->maps[i] = take(inheritance, row->fd_kind, row->name);
	}
	for (uint32_t i = 0; i < type->probe_count; i++) {
		const struct probe *probe = &type->probes[i];

		tracer->programs[i] = take(inheritance, FD_PROGRAM, probe->program);
		tracer->links[i] = take(inheritance, link_kind(probe), probe->program);
	}
}
