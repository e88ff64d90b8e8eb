/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The snapshot walk over the live connections of every network namespace. */
#ifndef CONNTRACE_SNAPSHOT_H
#define CONNTRACE_SNAPSHOT_H

#include "conn.h"
#include "slice.h"

/* An entry whose socket is closed is a connection whose end was missed, unless it just begins. */
#define UNSEEN_AFTER_NS 1000000000ull

/*
 * What a walk has to say at its end. Of each connection it writes a record if that would say
 * something else than the last one (conn.told), or if the reader wants all of them anew: it then
 * raises the generation in its ledger.
 */
struct tally {
	__u64 live;    /* connections met */
	__u64 older;   /* of these, those that are older than the walk */
	__u64 sockets; /* that something is remembered of, whatever it is */
	__u64 begin_ns;
	__u64 session;    /* of the iterator that counts */
	__u64 left;       /* of their records left out or lost: told again by the next walk */
	__u64 generation; /* the reader's when the walk began */
};

/* One walk at a time: the loader reads one iterator after the other. */
static struct report walk_report;
static struct tally walk_tally;
static struct tally walk_flow_tally; /* of the walk over the UDP flows, which comes first */

static __always_inline __u64 reader_generation(void)
{
	__u32 zero = 0;
	const struct ledger *reader = bpf_map_lookup_elem(&ledger, &zero);

	return reader ? reader->generation : 0;
}

/*
 * To be called at each visit, and at the end: begins once. By seq_num it can't be known: it is 0 at
 * the first visit, and at the end of an iterator that had no visit or just that one.
 */
static __always_inline void tally_begin(struct tally *tally, struct bpf_iter_meta *meta)
{
	if (tally->session == meta->session_id)
		return;
	tally->session = meta->session_id;
	tally->live = 0;
	tally->older = 0;
	tally->sockets = 0;
	tally->begin_ns = bpf_ktime_get_ns();
	tally->left = 0;
	tally->generation = reader_generation();
}

static __always_inline void tally_met(struct tally *tally, const struct conn *conn)
{
	tally->live++;
	tally->older += conn->opened_ns < tally->begin_ns;
}

/*
 * What a record says, for conn.told: it says something else when a segment came or went, which all
 * of its numbers need, or when its state or its owner changes, which need none.
 */
static __always_inline __u64 told_make(const struct tally *tally, __u32 segments, __u8 state,
				       __u8 owner)
{
	return segments | (__u64)state << 32 | (__u64)owner << 40 | tally->generation << 48;
}

/* What became of the record that says this: one that was lost is made again by the next walk. */
static __always_inline void tally_told(struct tally *tally, struct conn *conn, __u64 told,
				       int outcome)
{
	if (outcome == OUTCOME_SUBMITTED)
		conn->told = told;
	else if (outcome == OUTCOME_LOST)
		tally->left++;
}

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
static __always_inline bool snapshot_leaves_out(struct tally *tally, struct counters *count)
{
	if (snapshot_has_room() || snapshot_is_patient())
		return false;
	tally->left++;
	COUNT(count, deferred_update);
	return true;
}

static __always_inline int snapshot_update(bool typed, struct sock *sk, const struct conn *conn,
					   struct counters *count, __u8 type, __u8 state)
{
	int outcome;

	report_fill(&walk_report, type, state, conn);
	walk_report.cpu = EVENT_CPU_WALK;
	outcome = typed ? conn_report(sk, &walk_report, conn)
			: conn_report_untyped(sk, &walk_report, conn);
	if (outcome != OUTCOME_ENDED)
		COUNT_OUTCOME(count, update, outcome);
	return outcome;
}

/* The generation that all records of the walk are of: both iterators are asked in turn. */
static __always_inline __u64 snapshot_generation(void)
{
	__u64 flows = walk_flow_tally.generation;

	return flows && flows < walk_tally.generation ? flows : walk_tally.generation;
}

/* The end of the walk: of a whole one the reader may forget what it did not meet. */
static __always_inline void snapshot_end(bool whole)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	const struct settings_slot *slot = settings_get();
	struct counters *count = counters_get();
	struct event *event;

	if (all && whole) {
		all->walk_met = walk_tally.older + walk_flow_tally.older;
		all->walk_sockets = walk_tally.sockets;
	}
	report_fill(&walk_report, EVENT_WALK, 0, NULL);
	walk_report.cpu = EVENT_CPU_WALK;
	event = event_reserve(&walk_report);
	if (!event)
		return;
	event->walk_id = all ? all->walk_id : 0;
	event->walk_live = walk_tally.live + walk_flow_tally.live;
	event->walk_left = walk_tally.left + walk_flow_tally.left;
	event->walk_generation = snapshot_generation();
	event->walk_settings = slot ? slot->revision : 0;
	event->walk_whole = whole;
	if (count)
		COUNT(count, submitted_walk);
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

static __always_inline __u32 segments_of(bool typed, int *failed, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sock_of(typed, sk);

	return tp ? READ(typed, *failed, tp, segs_in) + READ(typed, *failed, tp, segs_out) : 0;
}

/* A record, if it says something new. Returns whether the walk has to wait before it can go on. */
static __always_inline bool snapshot_tell(bool typed, struct sock *sk, struct conn *conn,
					  struct counters *count, __u8 type, __u8 state,
					  __u32 number)
{
	__u64 told = told_make(&walk_tally, number, state, conn->owner);

	if (conn->told == told)
		return false;
	if (snapshot_waits())
		return true;
	if (!snapshot_leaves_out(&walk_tally, count))
		tally_told(&walk_tally, conn, told,
			   snapshot_update(typed, sk, conn, count, type, state));
	return false;
}

/* One socket that something is remembered of. Returns as snapshot_tell() does. */
static __always_inline bool snapshot_socket(bool typed, struct sock *sk, struct conn *conn,
					    struct counters *count)
{
	int failed = 0;
	__u8 state = READ(typed, failed, sk, __sk_common.skc_state);
	__u8 type = state == TCP_LISTEN ? EVENT_LISTENER : EVENT_UPDATE;
	__u32 number;

	if (store_is_table() && state == TCP_CLOSE) {
		snapshot_unseen(sk, conn, count);
		return false;
	}
	if (type == EVENT_UPDATE && !conn_is_open(conn))
		return false;
	number = type == EVENT_UPDATE ? segments_of(typed, &failed, sk)
				      : listener_drops(typed, &failed, sk);
	/* Of a listener that has dropped nothing there is nothing to say. */
	if ((type == EVENT_UPDATE || number) &&
	    snapshot_tell(typed, sk, conn, count, type, state, number))
		return true;
	if (type == EVENT_UPDATE)
		tally_met(&walk_tally, conn);
	return false;
}

/*
 * One socket with what is remembered of it, or NULL at the end. Returns what an iterator does: 0,
 * or 1 for "the same one again", which ends the read(2).
 */
static __always_inline int snapshot_visit(bool typed, struct bpf_iter_meta *meta, struct sock *sk,
					  struct conn *conn)
{
	struct counters *count = counters_get();

	tally_begin(&walk_tally, meta);
	if (!sk) {
		snapshot_end(true);
		return 0;
	}
	if (conn && count) {
		if (snapshot_socket(typed, sk, conn, count))
			return 1;
		COUNT(count, run_walk);
		walk_tally.sockets++;
	}
	slice_count(meta);
	return 0;
}

#endif
