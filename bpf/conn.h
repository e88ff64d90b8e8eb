/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a socket and what is remembered of it to a record in the ring. */
#ifndef CONNTRACE_CONN_H
#define CONNTRACE_CONN_H

#include "maps.h"

#define RING_RECORD_BYTES (sizeof(struct event) + 8) /* with BPF_RINGBUF_HDR_SZ */
#define RING_WAKEUP_STEP  8192

/* Addresses and ports as in struct event. */
struct tuple {
	__u32 saddr[4];
	__u32 daddr[4];
	__u16 sport;
	__u16 dport;
	__u8 family;
	__u8 pad[3];
};

/* What is to be written about a connection, apart from the socket itself. */
struct report {
	__u64 now_ns;
	__u32 sequence; /* as event.cpu without the CPU: 0, EVENT_CPU_LATE or EVENT_CPU_WALK */
	__u8 type;      /* enum event_type */
	__u8 state;
	__u8 flags; /* event.flags */
	__u8 pad;
};

static __always_inline bool conn_is_open(const struct conn *conn)
{
	return conn && conn->flags & CONN_OPENED;
}

/* The current process becomes the owner. Only for hooks that run in process context. */
static __always_inline void conn_own(struct conn *conn, const struct task_struct *task, __u8 owner)
{
	const __u64 *comm = (const __u64 *)&task->comm;

	conn->owner = owner;
	conn->pid = (__u32)task->tgid;
	conn->uid = task->cred->uid.val;
	conn->comm[0] = comm[0];
	conn->comm[1] = comm[1];
}

static __always_inline bool address_is_v4_mapped(const struct in6_addr *addr)
{
	return addr->in6_u.u6_addr32[0] == 0 && addr->in6_u.u6_addr32[1] == 0 &&
	       addr->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

static __always_inline void tuple_read(struct tuple *tuple, const struct sock *sk,
				       const struct tcp_sock *tp)
{
	const struct in6_addr *daddr = &sk->__sk_common.skc_v6_daddr;
	const struct in6_addr *saddr = &sk->__sk_common.skc_v6_rcv_saddr;

	/* At the change to CLOSE skc_num is 0 already, inet_sport is not. */
	tuple->sport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	tuple->dport = bpf_ntohs(sk->__sk_common.skc_dport);
	tuple->pad[0] = tuple->pad[1] = tuple->pad[2] = 0;
	if (sk->__sk_common.skc_family == AF_INET6 && !address_is_v4_mapped(daddr)) {
		tuple->family = 6;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			tuple->saddr[i] = saddr->in6_u.u6_addr32[i];
			tuple->daddr[i] = daddr->in6_u.u6_addr32[i];
		}
		return;
	}
	tuple->family = 4;
	tuple->saddr[0] = sk->__sk_common.skc_rcv_saddr;
	tuple->daddr[0] = sk->__sk_common.skc_daddr;
#pragma unroll
	for (int i = 1; i < 4; i++)
		tuple->saddr[i] = tuple->daddr[i] = 0;
}

static __always_inline bool address_in(const __u32 *addr, const struct filter *filter)
{
	__u32 differ = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differ |= (addr[i] & filter->mask[i]) ^ filter->addr[i];
	return differ == 0;
}

static __always_inline bool port_in(__u16 port, const struct filter *filter)
{
	return port >= filter->port_low && port <= filter->port_high;
}

static __always_inline bool filter_matches(const struct filter *filter, const struct tuple *tuple)
{
	if (filter->family &&
	    (filter->family != tuple->family ||
	     (!address_in(tuple->saddr, filter) && !address_in(tuple->daddr, filter))))
		return false;
	if ((filter->port_low || filter->port_high) && !port_in(tuple->sport, filter) &&
	    !port_in(tuple->dport, filter))
		return false;
	return true;
}

/* Whether the settings ask for records of this connection. */
static __noinline bool tuple_is_wanted(const struct tuple *tuple)
{
	const struct settings_slot *slot = settings_get();

	if (!slot || !tuple)
		return false;
	if (!(slot->families & (tuple->family == 4 ? FAMILY_IPV4 : FAMILY_IPV6)))
		return false;
	for (__u32 i = 0; i < FILTERS_MAX; i++) {
		if (i >= slot->filter_count)
			break;
		if (filter_matches(&slot->filters[i], tuple))
			return slot->filters[i].action == FILTER_INCLUDE;
	}
	return true;
}

static __always_inline __u64 cookie_read(const struct sock *sk)
{
	__u64 cookie = (__u64)sk->__sk_common.skc_cookie.counter;

	return cookie ? cookie : bpf_get_socket_cookie((void *)sk);
}

static __always_inline __u64 cgroup_read(const struct sock *sk)
{
	/* Until 5.14 a tagged pointer in an integer: no cgroup then. */
	if (!bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return 0;
	return sk->sk_cgrp_data.cgroup->kn->id;
}

/*
 * bytes_acked counts the SYN of the active opener (tcp_ack() of the SYN-ACK) and an acknowledged
 * FIN; bytes_sent counts neither, but retransmissions. Hence the smaller of the two.
 */
static __always_inline __u64 payload_acked(const struct tcp_sock *tp, bool syn_counted)
{
	__u64 acked = tp->bytes_acked;
	__u64 sent = tp->bytes_sent;
	__u64 retrans = tp->bytes_retrans;

	if (syn_counted && acked)
		acked--;
	sent = sent > retrans ? sent - retrans : 0;
	return acked < sent ? acked : sent;
}

/* tcp_fin() sets SOCK_DONE after the FIN was counted in bytes_received. */
static __always_inline __u64 payload_received(const struct sock *sk, const struct tcp_sock *tp)
{
	__u64 received = tp->bytes_received;
	__u64 fin =
		sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;

	return received > fin ? received - fin : 0;
}

static __always_inline void event_fill_metrics(struct event *event, const struct sock *sk,
					       const struct tcp_sock *tp)
{
	__u32 min_rtt_us = tp->rtt_min.s[0].v;
	bool syn_counted = event->direction == DIRECTION_OUTGOING && event->established_ns;

	event->bytes_sent = payload_acked(tp, syn_counted);
	event->bytes_received = payload_received(sk, tp);
	event->segs_out = tp->segs_out;
	event->segs_in = tp->segs_in;
	event->retransmits = tp->total_retrans;
	event->srtt_us = tp->srtt_us >> 3;
	event->rttvar_us = tp->mdev_us >> 2;
	event->min_rtt_us = min_rtt_us == ~0u ? 0 : min_rtt_us;
}

static __always_inline void event_fill_owner(struct event *event, const struct conn *conn)
{
	__u64 *comm = (__u64 *)event->comm;

	event->owner = conn->owner;
	event->pid = conn->pid;
	event->uid = conn->uid;
	comm[0] = conn->comm[0];
	comm[1] = conn->comm[1];
}

static __always_inline void event_fill_tuple(struct event *event, const struct tuple *tuple)
{
	__u32 *saddr = (__u32 *)event->saddr;
	__u32 *daddr = (__u32 *)event->daddr;

	event->family = tuple->family;
	event->sport = tuple->sport;
	event->dport = tuple->dport;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		saddr[i] = tuple->saddr[i];
		daddr[i] = tuple->daddr[i];
	}
}

/* The next number of the sequence this report belongs to; also for a record that gets lost. */
static __always_inline __u64 sequence_next(const struct report *report)
{
	__u32 which = report->sequence == EVENT_CPU_LATE;
	__u64 *next;

	if (report->sequence == EVENT_CPU_WALK)
		return walk_seq++;
	next = bpf_map_lookup_elem(&sequences, &which);
	return next ? __sync_fetch_and_add(next, 1) : 0;
}

/* Room in the ring, zeroed, with what every record carries; NULL when the ring is full. */
static __always_inline struct event *event_reserve(const struct report *report)
{
	__u64 seq = sequence_next(report);
	struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event)
		return NULL;
	__builtin_memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->version = EVENT_VERSION;
	event->type = report->type;
	event->cpu = report->sequence;
	if (report->sequence != EVENT_CPU_WALK)
		event->cpu |= bpf_get_smp_processor_id();
	event->seq = seq;
	event->recorded_ns = report->now_ns;
	return event;
}

/*
 * The reader looks at the ring on a timer; it is only woken early when the ring fills up, and then
 * once in RING_WAKEUP_STEP bytes: each wake-up costs an interrupt, ten times what a record does.
 */
static __always_inline void event_submit(struct event *event)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= constants.ring_wakeup_bytes &&
	    bpf_ringbuf_query(&ring, BPF_RB_PROD_POS) % RING_WAKEUP_STEP < RING_RECORD_BYTES)
		flags = BPF_RB_FORCE_WAKEUP;
	bpf_ringbuf_submit(event, flags);
}

enum outcome { OUTCOME_SUBMITTED, OUTCOME_FILTERED, OUTCOME_LOST };

/* Writes one record. conn may be NULL: then only what the socket knows is in it. */
static __noinline int conn_report(const struct sock *sk, const struct conn *conn,
				  const struct report *report)
{
	const struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);
	struct tuple tuple;
	struct event *event;

	if (!tp)
		return OUTCOME_FILTERED;
	tuple_read(&tuple, sk, tp);
	if (!tuple_is_wanted(&tuple))
		return OUTCOME_FILTERED;
	event = event_reserve(report);
	if (!event)
		return OUTCOME_LOST;
	event->protocol = IPPROTO_TCP;
	event->state = report->state;
	event->flags = report->flags;
	event_fill_tuple(event, &tuple);
	event->cookie = cookie_read(sk);
	event->netns = sk->__sk_common.skc_net.net->ns.inum;
	event->cgroup_id = cgroup_read(sk);
	if (conn) {
		event_fill_owner(event, conn);
		if (!(report->flags & EVENT_F_PARTIAL)) {
			event->direction = conn->direction;
			event->opened_ns = conn->opened_ns;
			event->established_ns = conn->established_ns;
		}
	}
	if (report->type == EVENT_CLOSE) {
		event->error = (__u16)sk->sk_err;
		event->closed_ns = report->now_ns;
	}
	event_fill_metrics(event, sk, tp);
	event_submit(event);
	return OUTCOME_SUBMITTED;
}

#endif
