/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What each hook means, whichever way the kernel calls it. The tracers only say where they attach.
 */
#ifndef CONNTRACE_HOOKS_H
#define CONNTRACE_HOOKS_H

#include "lifecycle.h"
#include "snapshot.h"

#define STATE_BIT(state) (1u << (state))
#define STATES_OF_INTEREST \
	(STATE_BIT(TCP_ESTABLISHED) | STATE_BIT(TCP_SYN_SENT) | STATE_BIT(TCP_FIN_WAIT1) | \
	 STATE_BIT(TCP_CLOSE) | STATE_BIT(TCP_CLOSE_WAIT) | STATE_BIT(TCP_LAST_ACK) | \
	 STATE_BIT(TCP_LISTEN))

static __always_inline bool sk_is_tcp(struct sock *sk)
{
	int failed = 0;

	return READ(TYPED_POINTERS, failed, sk, sk_protocol) == IPPROTO_TCP;
}

/* A run that has something to report. Returns false if it can't. */
static __always_inline bool change_fill(struct run *run, __u32 hook, __u8 type, __u8 state,
					const struct conn *conn)
{
	if (!run_begin(run, hook))
		return false;
	report_fill(run->report, type, state, conn);
	return true;
}

/* The report is filled: write it. */
static __always_inline void change_report(struct sock *sk, struct run *run)
{
	int outcome = conn_report(sk, run->report, NULL);

	if (run->report->type == EVENT_OPEN)
		COUNT_OUTCOME(run->count, open, outcome);
	else if (run->report->type == EVENT_LISTENER)
		COUNT_OUTCOME(run->count, update, outcome);
	else
		COUNT_OUTCOME(run->count, close, outcome);
	run_end(run);
}

static __always_inline bool has_dropped(struct sock *sk)
{
	int failed = 0;

	return listener_drops(TYPED_POINTERS, &failed, sk) != 0;
}

/* Whether the socket that leaves this state for CLOSE was a connection. */
static __always_inline bool was_connection(int oldstate, const struct conn *conn)
{
	return oldstate != TCP_LISTEN && (oldstate != TCP_SYN_RECV || conn_is_open(conn));
}

/* Returns whether there is something to report: then the run has begun. */
static __always_inline bool state_changed(struct sock *sk, struct counters *count, struct run *run,
					  int oldstate, int newstate, bool accepted)
{
	struct conn *conn = NULL;
	bool reported = false;

	if (newstate == TCP_CLOSE) {
		conn = store_get(sk);
		/* connect(2) fails: where it returns the error is known. */
		if (oldstate == TCP_SYN_SENT && conn && conn->flags & CONN_CONNECTING)
			return false;
		if (was_connection(oldstate, conn)) {
			conn_count_end(conn, count);
			reported = change_fill(run, HOOK_STATE, EVENT_CLOSE, (__u8)oldstate, conn);
		} else if (oldstate == TCP_LISTEN && has_dropped(sk)) {
			reported = change_fill(run, HOOK_STATE, EVENT_LISTENER, TCP_CLOSE, conn);
		}
		conn_forget(sk, conn, count);
	} else if (newstate == TCP_SYN_SENT) {
		conn_connect(sk, count);
	} else if (newstate == TCP_LISTEN) {
		conn_listen(sk, count);
	} else if (accepted || newstate == TCP_ESTABLISHED) {
		conn = conn_establish(sk, count, accepted);
		reported = conn && change_fill(run, HOOK_STATE, EVENT_OPEN, (__u8)newstate, conn);
	}
	if (newstate == TCP_FIN_WAIT1)
		conn_closing(sk, count, CLOSER_LOCAL, true);
	else if (newstate == TCP_LAST_ACK) /* the other one was first, seen or not */
		conn_closing(sk, count, CLOSER_REMOTE, true);
	else if (newstate == TCP_CLOSE_WAIT)
		conn_closing(sk, count, CLOSER_REMOTE, false);
	return reported;
}

/* A socket is about to go from one state to another: tcp_set_state(). */
static __always_inline void on_state(struct sock *sk, int oldstate, int newstate)
{
	bool accepted = oldstate == TCP_SYN_RECV && newstate != TCP_CLOSE;
	__u8 change = (__u8)(oldstate << 4 | newstate); /* TCP_MAX_STATES is 14 */
	struct counters *count;
	struct run run;

	if (!accepted && !(STATE_BIT(newstate & 31) & STATES_OF_INTEREST))
		return;
	if (!sk_is_tcp(sk) || !is_in_charge(true) || change_is_noted(sk, change))
		return;
	count = counters_get();
	if (!count)
		return;
	COUNT(count, run_set_state);
	if (state_changed(sk, count, &run, oldstate, newstate, accepted))
		change_report(sk, &run);
	change_note(sk, change);
}

/* A process calls listen: inet_csk_listen_start(). */
static __always_inline void on_listen(struct sock *sk)
{
	struct counters *count = counters_get();

	if (!count || !sk_is_tcp(sk) || !is_in_charge(true))
		return;
	COUNT(count, run_listen);
	conn_listen(sk, count);
}

/* A socket gets its struct socket, in the process that called accept: security_sock_graft(). */
static __always_inline void on_accept(struct sock *sk)
{
	struct counters *count = counters_get();

	if (!count || !sk_is_tcp(sk) || !is_in_charge(true))
		return;
	COUNT(count, run_accept);
	conn_accept(sk);
}

/* A listener's child meets the segment that completes its handshake: tcp_child_process(). */
static __always_inline void on_child(struct sock *listener, struct sock *sk)
{
	struct counters *count = counters_get();

	if (!count || !store_is_table() || !sk_is_tcp(sk) || !is_in_charge(true))
		return;
	COUNT(count, run_child);
	conn_inherit(listener, sk, count);
}

/*
 * Whether a socket that goes away was a connection of which nothing was seen: its programs can all
 * have been skipped, while another run of theirs on that CPU was interrupted or scheduled away. The
 * table does not tell: it forgets a socket at CLOSE. Nor can it be known once there was no memory
 * to remember an end.
 */
static __always_inline bool was_unseen(struct sock *sk, const struct conn *conn)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return !store_is_table() && !(conn && conn->flags & (CONN_CLOSED | CONN_OPENED)) &&
	       sk->__sk_common.skc_dport != 0 && all && !all->unmarked;
}

/* A socket goes away. Its change to CLOSE can have been missed: see run.h. */
static __always_inline void on_destroy(struct sock *sk)
{
	struct conn *conn = store_get(sk);
	struct counters *count = counters_get();
	struct run run;

	if (!is_in_charge(true))
		return;
	if (conn && count)
		COUNT(count, destroyed);
	if (!conn_is_open(conn) && !(TYPED_POINTERS && was_unseen(sk, conn))) {
		if (conn && store_is_table())
			table_forget(sk);
		return;
	}
	if (!change_fill(&run, HOOK_DESTROY, EVENT_CLOSE, TCP_CLOSE, conn))
		return;
	COUNT(run.count, run_destroy);
	COUNT(run.count, closed_late);
	conn_count_end(conn, run.count);
	conn_forget(sk, conn, run.count);
	change_report(sk, &run);
	if (store_is_table())
		table_forget(sk);
}

#endif
