/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The snapshot walk over the live connections of every network namespace. */
#ifndef CONNTRACE_SNAPSHOT_H
#define CONNTRACE_SNAPSHOT_H

#include "conn.h"

static __always_inline void snapshot_update(const struct sock *sk, const struct conn *conn)
{
	struct counters *count = counters_get();
	struct report report = {
		.now_ns = bpf_ktime_get_ns(),
		.sequence = EVENT_CPU_WALK,
		.type = EVENT_UPDATE,
		.state = sk->__sk_common.skc_state,
	};
	int outcome;

	if (!count)
		return;
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > constants.ring_defer_bytes) {
		COUNT(count, deferred_update);
		return;
	}
	outcome = conn_report(sk, conn, &report);
	if (outcome == OUTCOME_SUBMITTED)
		COUNT(count, submitted_update);
	else if (outcome == OUTCOME_FILTERED)
		COUNT(count, filtered_update);
	else
		COUNT(count, lost_update);
}

/* The end of the walk: the reader may forget what it did not meet. */
static __always_inline void snapshot_end(void)
{
	struct report report = {
		.now_ns = bpf_ktime_get_ns(),
		.sequence = EVENT_CPU_WALK,
		.type = EVENT_WALK,
	};
	struct event *event = event_reserve(&report);
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	if (!event)
		return;
	event->walk_id = all ? all->walk_id : 0;
	event->walk_live = walk_live;
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
}

/* One socket with its storage, or NULL at the end. first: of this walk. */
static __always_inline void snapshot_visit(const struct sock *sk, const struct conn *conn,
					   bool first)
{
	if (first)
		walk_live = 0;
	if (!sk) {
		snapshot_end();
		return;
	}
	if (!conn_is_open(conn))
		return;
	walk_live++;
	snapshot_update(sk, conn);
}

#endif
