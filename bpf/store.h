/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is remembered of a socket between its state changes, and where: in the socket's own storage
 * where the kernel lets these programs use it (5.11 and newer, not for kprobes), freed with the
 * socket; else in a table keyed by the socket's address. Either has room for as many as the memory
 * budget allows: of the storage the loader says so (settings.room), since the kernel sets no limit.
 * The end of a connection for which there was no room is still reported, from the socket, as
 * partial.
 */
#ifndef CONNTRACE_STORE_H
#define CONNTRACE_STORE_H

#include "maps.h"

#define CONN_OPENED   1u /* counted in opened_*, and not yet in closed */
#define CONN_LISTENER 2u /* a listening socket, or the copy an accepted socket starts with */
#define CONN_SEEDED   4u /* with CONN_OPENED: was open when the tracer began */
#define CONN_CLOSED \
	8u /* nothing is to be reported of the socket any more, until it is used again */

/* Its process is in the kernel's connect function, whose return tells why if that fails. */
#define CONN_CONNECTING 16u

/* An accepted socket starts with a copy of its listener's: its provisional owner. */
struct conn {
	__u64 cookie; /* 0 = the kernel has one */
	__u64 opened_ns;
	union {
		__u64 established_ns;
		/* UDP: address of its cgroup; it may be another's when the socket is gone */
		__u64 flow_cgroup;
	};
	__u64 process_ns;
	__u64 comm[EVENT_COMM_LEN / sizeof(__u64)];
	__u32 pid;
	__u32 uid;
	__u8 owner;
	__u8 direction;
	__u8 flags;
	__u8 tenant; /* 1: the owner is in the tracer's pid namespace */
	__u8 closer; /* enum event_closer */
	/* While a tracer takes over: the change of state that one of the two has dealt with, and in
	   which takeover. */
	__u8 change;
	__u8 takeover;
	__u8 pad;
	__u64 told; /* what the walk's last record of it said: bpf/snapshot.h; 0 = none */
};
_Static_assert(sizeof(struct conn) == 72, "conn: size");

#if TYPED_POINTERS
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct conn);
} connections SEC(".maps");
#endif

/* max_entries is replaced by the loader: from the budget, or 1 where sockets have storage. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct conn);
} conn_table SEC(".maps");

/*
 * UDP: what one socket and one peer send each other. The key has the socket's address and when its
 * first flow began, since the address is used again.
 */
struct flow_key {
	__u64 sk;
	__u64 born_ns;
	__u32 addr[4];
	__u16 port;
	__u8 family;
	__u8 pad[5];
};
_Static_assert(sizeof(struct flow_key) == 40, "flow_key: size");

struct flow {
	struct conn conn; /* opened_ns is the first datagram's time */
	__u64 last_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 cgroup_id;
	__u32 saddr[4];
	__u32 sent; /* datagrams */
	__u32 received;
	__u32 netns;
	__u16 sport;
	__u8 replied; /* 1: the other side than the first has sent */
	__u8 assured; /* 1: and after that there was another datagram */
};
_Static_assert(sizeof(struct flow) == 136, "flow: size");

/* A UDP socket that has flows. */
struct flow_socket {
	__u64 born_ns;
	__u64 flows;
	struct flow_key last; /* the newest: mostly there is no other */
};
_Static_assert(sizeof(struct flow_socket) == 56, "flow_socket: size");

/* max_entries is replaced by the loader: from the budget, or 1 where UDP is not traced. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flow_table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct flow_socket);
} flow_sockets SEC(".maps");

static __always_inline bool store_is_table(void)
{
	return !TYPED_POINTERS || !constants.socket_storage;
}

static __always_inline struct conn *table_get(struct sock *sk)
{
	__u64 key = (__u64)sk;

	return bpf_map_lookup_elem(&conn_table, &key);
}

/* The table was full: there are connections which nothing is remembered of. */
static __always_inline void table_note_full(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	if (all && all->room != ROOM_AGAIN)
		all->room = ROOM_AGAIN;
}

/* A new entry with this content; NULL when the table is full. */
static __always_inline struct conn *table_create(struct sock *sk, const struct conn *conn)
{
	__u64 key = (__u64)sk;
	int err = (int)bpf_map_update_elem(&conn_table, &key, conn, BPF_ANY);

	if (err) {
		telemetry_note(TELEMETRY_map_conn_table, err);
		table_note_full();
		return NULL;
	}
	return bpf_map_lookup_elem(&conn_table, &key);
}

static __always_inline void table_forget(struct sock *sk)
{
	__u64 key = (__u64)sk;

	(void)bpf_map_delete_elem(&conn_table, &key);
}

static __always_inline struct conn *store_get(struct sock *sk)
{
#if TYPED_POINTERS
	if (!store_is_table())
		return bpf_sk_storage_get(&connections, (void *)sk, NULL, 0);
#endif
	return table_get(sk);
}

/* enum settings_room */
static __always_inline __u32 store_room(void)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all ? all->room : ROOM_NONE;
}

#if TYPED_POINTERS
/* That of a socket without any: made if it may. */
static __always_inline struct conn *storage_create(struct sock *sk, struct counters *count)
{
	struct conn *conn =
		bpf_sk_storage_get(&connections, (void *)sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn)
		telemetry_note(TELEMETRY_map_connections, 0);
	else if (!conn->flags && !conn->closer)
		COUNT(count, remembered);
	return conn;
}
#endif

/* What is there, else an empty one; NULL when there is no room. */
static __always_inline struct conn *store_create(struct sock *sk, struct counters *count)
{
	struct conn *conn;

#if TYPED_POINTERS
	if (!store_is_table())
		return store_room() == ROOM_NONE ? store_get(sk) : storage_create(sk, count);
#endif
	conn = table_get(sk);
	if (!conn) {
		struct conn empty = {.cookie = 0};

		conn = table_create(sk, &empty);
		if (conn)
			COUNT(count, remembered);
	}
	return conn;
}

/*
 * The same of a socket that closes, room or not, since it is not for long: who closed it, and then
 * that its end was reported, or it would be once more when it is destroyed. NULL when there is no
 * memory.
 */
static __always_inline struct conn *store_create_last(struct sock *sk, struct counters *count)
{
#if TYPED_POINTERS
	if (!store_is_table()) {
		__u32 zero = 0;
		struct settings *all = bpf_map_lookup_elem(&settings, &zero);
		struct conn *conn = storage_create(sk, count);

		if (!conn && all)
			all->unmarked++;
		return conn;
	}
#endif
	return store_create(sk, count);
}

#endif
