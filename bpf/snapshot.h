/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The snapshot walk over the live connections of every network namespace. */
#ifndef CONNTRACE_SNAPSHOT_H
#define CONNTRACE_SNAPSHOT_H

#include "conn.h"

/* An entry whose socket is closed is a connection whose end was missed, unless it just begins. */
#define UNSEEN_AFTER_NS 1000000000ull

/* One walk at a time: the loader reads one iterator after the other. */
static struct report walk_report;
static __u64 walk_live;
static __u64 walk_flows_live; /* of the walk over the UDP flows, which comes first */

static __always_inline bool snapshot_has_room(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <= constants.ring_defer_bytes;
}

static __always_inline bool snapshot_is_patient(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all && bpf_ktime_get_ns() < all->walk_waits_until_ns;
}

/* Returns whether the walk is to wait for room: the rest of the ring is for opens and closes. */
static __always_inline bool snapshot_waits(void)
{
	return !snapshot_has_room() && snapshot_is_patient();
}

/* Returns whether it has waited long enough and goes on without this update, which it counts. */
static __always_inline bool snapshot_leaves_out(struct counters *count)
{
	if (snapshot_has_room() || snapshot_is_patient())
		return false;
	COUNT(count, deferred_update);
	return true;
}

static __always_inline void snapshot_update(bool typed, struct sock *sk, const struct conn *conn,
					    struct counters *count, __u8 state)
{
	int outcome;

	report_fill(&walk_report, EVENT_UPDATE, state, conn);
	walk_report.cpu = EVENT_CPU_WALK;
	outcome = typed ? conn_report(sk, &walk_report) : conn_report_untyped(sk, &walk_report);
	COUNT_OUTCOME(count, update, outcome);
}

/* The end of the walk: the reader may forget what it did not meet. */
static __always_inline void snapshot_end(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	struct event *event;

	report_fill(&walk_report, EVENT_WALK, 0, NULL);
	walk_report.cpu = EVENT_CPU_WALK;
	event = event_reserve(&walk_report);
	if (!event)
		return;
	event->walk_id = all ? all->walk_id : 0;
	event->walk_live = walk_live + walk_flows_live;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/*
 * The programs that see a connection's end can be skipped by the kernel (kprobes that hit while
 * another runs on the CPU). Socket storage goes with its socket; an entry of the table would stay.
 */
static __always_inline void snapshot_unseen(struct sock *sk, const struct conn *conn,
					    struct counters *count)
{
	if (bpf_ktime_get_ns() - conn->opened_ns < UNSEEN_AFTER_NS)
		return;
	if (conn_is_open(conn)) {
		COUNT(count, closed);
		COUNT(count, lost_unseen);
	}
	table_forget(sk);
}

/*
 * One socket with what is remembered of it, or NULL at the end. first: of this walk. Returns what
 * an iterator does: 0, or 1 for "the same one again", which ends the read(2) with EAGAIN.
 */
static __always_inline int snapshot_visit(bool typed, struct sock *sk, const struct conn *conn,
					  bool first)
{
	struct counters *count = counters_get();
	int failed = 0;
	__u8 state;

	if (first)
		walk_live = 0;
	if (!sk) {
		snapshot_end();
		return 0;
	}
	if (!conn || !count)
		return 0;
	COUNT(count, run_walk);
	state = READ(typed, failed, sk, __sk_common.skc_state);
	if (store_is_table() && state == TCP_CLOSE) {
		snapshot_unseen(sk, conn, count);
		return 0;
	}
	if (!conn_is_open(conn))
		return 0;
	if (snapshot_waits())
		return 1;
	walk_live++;
	if (!snapshot_leaves_out(count))
		snapshot_update(typed, sk, conn, count, state);
	return 0;
}

#endif
