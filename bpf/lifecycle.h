/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change of a socket's state means for the connection: opened, established, closed, or just
 * a better owner. Each function counts what it does exactly once.
 */
#ifndef CONNTRACE_LIFECYCLE_H
#define CONNTRACE_LIFECYCLE_H

#include "conn.h"

static __always_inline struct conn *conn_identify(struct conn *conn)
{
	if (conn && !conn->cookie && !(TYPED_POINTERS && constants.socket_cookie))
		conn->cookie = cookie_make();
	return conn;
}

/* What is remembered of the socket, made if there is nothing; NULL when there is no room. */
static __always_inline struct conn *conn_create(struct sock *sk, struct counters *count)
{
	return conn_identify(store_create(sk, count));
}

/* The same of one that closes, for which there is always room in its storage. */
static __always_inline struct conn *conn_create_last(struct sock *sk, struct counters *count)
{
	return conn_identify(store_create_last(sk, count));
}

/*
 * A new life of the socket. Should the end of the last one have been missed there is nothing left
 * to report it from.
 */
static __always_inline struct conn *conn_begin(struct sock *sk, struct counters *count, __u8 owner)
{
	struct conn *conn = conn_create(sk, count);

	if (!conn) {
		COUNT(count, storage_failed);
		return NULL;
	}
	if (conn_is_open(conn)) {
		COUNT(count, closed);
		COUNT(count, lost_unseen);
	}
	(void)conn_own(conn, owner);
	conn->established_ns = 0;
	conn->closer = CLOSER_NONE;
	conn->told = 0;
	return conn;
}

static __always_inline void conn_listen(struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_begin(sk, count, OWNER_LISTEN);

	if (conn)
		conn->flags = CONN_LISTENER;
}

/* Whether a program sees where the kernel's connect function for this socket returns. */
static __always_inline bool connect_return_is_seen(struct sock *sk)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	int failed = 0;
	__u16 family = READ(TYPED_POINTERS, failed, sk, __sk_common.skc_family);

	return all &&
	       all->connect_returns & (family == AF_INET ? RETURNS_CONNECT : RETURNS_CONNECT6);
}

static __always_inline void conn_connect(struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_begin(sk, count, OWNER_CONNECT);

	if (!conn)
		return;
	conn->opened_ns = bpf_ktime_get_ns();
	conn->direction = DIRECTION_OUTGOING;
	conn->flags = CONN_OPENED;
	if (connect_return_is_seen(sk))
		conn->flags |= CONN_CONNECTING;
	COUNT(count, opened_connect);
}

/*
 * What is remembered of a socket that is being accepted: the kernel has given it a copy of its
 * listener's, room or not. NULL when there is no room.
 */
static __always_inline struct conn *conn_accepted(struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_create(sk, count);

#if TYPED_POINTERS
	if (conn && !store_is_table() && conn->flags & CONN_LISTENER) {
		if (store_room() == ROOM_NONE) {
			(void)bpf_sk_storage_delete(&connections, (void *)sk);
			conn = NULL;
		} else {
			COUNT(count, remembered);
		}
	}
#endif
	if (!conn)
		COUNT(count, storage_failed);
	return conn;
}

/*
 * The handshake is done. A socket that leaves SYN_RECV without having been opened was accepted; it
 * may go straight to a closing state when TCP fast open let the process close it early. Returns
 * what is remembered if that is to be reported.
 */
static __always_inline struct conn *conn_establish(struct sock *sk, struct counters *count,
						   bool accepted)
{
	struct conn *conn = accepted ? conn_accepted(sk, count) : store_get(sk);
	const struct settings_slot *slot = settings_get();

	if (!conn || (!accepted && !conn_is_open(conn)))
		return NULL;
	conn->established_ns = bpf_ktime_get_ns();
	if (!conn_is_open(conn)) {
		conn->opened_ns = conn->established_ns;
		conn->direction = DIRECTION_INCOMING;
		conn->flags = CONN_OPENED;
		conn->closer = CLOSER_NONE;
		conn->told = 0;
		COUNT(count, opened_accept);
	}
	COUNT(count, established);
	return slot && slot->record_open ? conn : NULL;
}

/* An accepted socket begins with its listener's owner. The kernel does this for socket storage. */
static __always_inline void conn_inherit(struct sock *listener, struct sock *sk,
					 struct counters *count)
{
	const struct conn *from = table_get(listener);
	struct conn copy;

	if (!from || !(from->flags & CONN_LISTENER))
		return;
	copy = *from;
	copy.cookie = cookie_make();
	if (table_create(sk, &copy))
		COUNT(count, remembered);
}

/* accept(2) has it: a better owner than the process that called listen. */
static __always_inline void conn_accept(struct sock *sk)
{
	struct conn *conn = store_get(sk);

	if (conn && conn->owner != OWNER_CONNECT)
		(void)conn_own(conn, OWNER_ACCEPT);
}

/*
 * A FIN goes out, or one came in. The process that closes or shuts down owns the connection from
 * now on, unless the one that connected or accepted is known. Room is made for a connection older
 * than the tracer, to carry this to its end.
 */
static __always_inline void conn_closing(struct sock *sk, struct counters *count, __u8 closer,
					 bool by_process)
{
	struct conn *conn = by_process ? conn_create_last(sk, count) : conn_create(sk, count);

	if (!conn)
		return;
	if (conn->closer == CLOSER_NONE)
		conn->closer = closer;
	if (by_process && conn->owner != OWNER_CONNECT && conn->owner != OWNER_ACCEPT)
		(void)conn_own(conn, OWNER_CLOSE);
}

/* Ends a connection: conn is NULL or not open when its begin was not seen. */
static __always_inline void conn_count_end(const struct conn *conn, struct counters *count)
{
	if (!conn_is_open(conn))
		COUNT(count, opened_partial);
	COUNT(count, closed);
}

/*
 * Two tracers are attached, one of which takes over: each change of state comes to both, one right
 * after the other. Whether the other has dealt with it.
 */
static __always_inline bool change_is_noted(struct sock *sk, __u8 change)
{
	__u32 takeover = takeover_get();
	const struct conn *conn;

	if (!takeover)
		return false;
	conn = store_get(sk);
	return conn && conn->change == change && conn->takeover == (__u8)takeover;
}

static __always_inline void change_note(struct sock *sk, __u8 change)
{
	__u32 takeover = takeover_get();
	struct conn *conn;

	if (!takeover)
		return;
	conn = store_get(sk);
	if (!conn)
		return;
	conn->change = change;
	conn->takeover = (__u8)takeover;
}

/*
 * The change to CLOSE was seen. Nothing is remembered any more but that, until the destruction of
 * the socket: in socket storage, and in the table for another tracer that comes to it second. conn
 * may be NULL, and must not be used after it.
 */
static __always_inline void conn_forget(struct sock *sk, struct conn *conn, struct counters *count)
{
	bool kept = !store_is_table() || takeover_get();

	if (!conn && kept)
		conn = conn_create_last(sk, count);
	if (!conn)
		return;
	conn->flags = CONN_CLOSED;
	conn->owner = OWNER_UNKNOWN;
	conn->closer = CLOSER_NONE;
	if (!kept)
		table_forget(sk);
}

#endif
