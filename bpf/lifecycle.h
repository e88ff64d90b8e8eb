/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change of a socket's state means for the connection: opened, established, closed, or just
 * a better owner. Each function counts what it does exactly once.
 */
#ifndef CONNTRACE_LIFECYCLE_H
#define CONNTRACE_LIFECYCLE_H

#include "conn.h"

static __always_inline struct conn *conn_get(const struct sock *sk, __u64 flags)
{
	return bpf_sk_storage_get(&connections, (void *)sk, NULL, flags);
}

static __always_inline struct conn *conn_create(const struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_get(sk, BPF_SK_STORAGE_GET_F_CREATE);

	if (!conn)
		COUNT(count, storage_failed);
	return conn;
}

/* Ends the connection: conn is NULL or not open when its begin was not seen. */
static __always_inline void conn_close(const struct sock *sk, struct conn *conn,
				       struct counters *count, __u8 state, __u32 sequence)
{
	struct report report = {
		.now_ns = bpf_ktime_get_ns(),
		.sequence = sequence,
		.type = EVENT_CLOSE,
		.state = state,
	};
	int outcome;

	if (!conn_is_open(conn)) {
		report.flags = EVENT_F_PARTIAL;
		COUNT(count, opened_partial);
	}
	COUNT(count, closed);
	if (sequence == EVENT_CPU_LATE)
		COUNT(count, closed_late);
	outcome = conn_report(sk, conn, &report);
	if (outcome == OUTCOME_SUBMITTED)
		COUNT(count, submitted_close);
	else if (outcome == OUTCOME_FILTERED)
		COUNT(count, filtered_close);
	else
		COUNT(count, lost_close);
	if (conn) {
		conn->flags = 0;
		conn->owner = OWNER_UNKNOWN;
	}
}

/* A new life of the socket. Should the end of the last one have been missed, it ends now. */
static __always_inline struct conn *conn_begin(const struct sock *sk, struct counters *count,
					       __u8 owner)
{
	struct conn *conn = conn_create(sk, count);

	if (!conn)
		return NULL;
	if (conn_is_open(conn))
		conn_close(sk, conn, count, TCP_CLOSE, EVENT_CPU_LATE);
	conn_own(conn, bpf_get_current_task_btf(), owner);
	conn->established_ns = 0;
	return conn;
}

static __always_inline void conn_listen(const struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_begin(sk, count, OWNER_LISTEN);

	if (conn)
		conn->flags = CONN_LISTENER;
}

static __always_inline void conn_connect(const struct sock *sk, struct counters *count)
{
	struct conn *conn = conn_begin(sk, count, OWNER_CONNECT);

	if (!conn)
		return;
	conn->opened_ns = bpf_ktime_get_ns();
	conn->direction = DIRECTION_OUTGOING;
	conn->flags = CONN_OPENED;
	COUNT(count, opened_connect);
}

static __always_inline void conn_report_open(const struct sock *sk, const struct conn *conn,
					     struct counters *count, __u8 state)
{
	const struct settings_slot *slot = settings_get();
	struct report report = {
		.now_ns = conn->established_ns,
		.type = EVENT_OPEN,
		.state = state,
	};
	int outcome;

	if (!slot || !slot->record_open)
		return;
	outcome = conn_report(sk, conn, &report);
	if (outcome == OUTCOME_SUBMITTED)
		COUNT(count, submitted_open);
	else if (outcome == OUTCOME_FILTERED)
		COUNT(count, filtered_open);
	else
		COUNT(count, lost_open);
}

/*
 * The handshake is done. A socket that leaves SYN_RECV without having been opened was accepted; it
 * may go straight to a closing state when TCP fast open let the process close it early.
 */
static __always_inline void conn_establish(const struct sock *sk, struct counters *count,
					   bool accepted, __u8 state)
{
	struct conn *conn = accepted ? conn_create(sk, count) : conn_get(sk, 0);

	if (!conn || (!accepted && !conn_is_open(conn)))
		return;
	conn->established_ns = bpf_ktime_get_ns();
	if (!conn_is_open(conn)) {
		conn->opened_ns = conn->established_ns;
		conn->direction = DIRECTION_INCOMING;
		conn->flags = CONN_OPENED;
		COUNT(count, opened_accept);
	}
	COUNT(count, established);
	conn_report_open(sk, conn, count, state);
}

/*
 * The process that closes or shuts down owns the connection from now on, unless the one that
 * connected is known. The last reference can be put by a kernel thread, which owns nothing. The
 * storage is created for a connection older than the tracer, to carry the owner to its end.
 */
static __always_inline void conn_own_closing(const struct sock *sk)
{
	const struct task_struct *task = bpf_get_current_task_btf();
	struct conn *conn;

	if (task->flags & PF_KTHREAD || task->tgid == 0)
		return;
	conn = conn_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (conn && conn->owner != OWNER_CONNECT)
		conn_own(conn, task, OWNER_CLOSE);
}

static __always_inline void conn_end(const struct sock *sk, struct counters *count, int state)
{
	struct conn *conn = conn_get(sk, 0);

	if (state == TCP_LISTEN) {
		if (conn)
			conn->flags = 0;
		return;
	}
	if (state == TCP_SYN_RECV && !conn_is_open(conn))
		return;
	conn_close(sk, conn, count, (__u8)state, 0);
}

#endif
