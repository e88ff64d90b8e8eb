/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a socket and what is remembered of it to a record in the ring. */
#ifndef CONNTRACE_CONN_H
#define CONNTRACE_CONN_H

#include "filter.h"

#define RING_RECORD_BYTES (sizeof(struct event) + 8) /* with BPF_RINGBUF_HDR_SZ */
#define RING_WAKEUP_STEP  8192

#define COOKIE_OWN       (1ull << 63)
#define COOKIE_CPU_SHIFT 48

static __always_inline bool conn_is_open(const struct conn *conn)
{
	return conn && conn->flags & CONN_OPENED;
}

static __always_inline bool tenants_only(void)
{
	return constants.pidns_ino != 0;
}

/* Whether the current process is in the tracer's own pid namespace, not in one below or beside. */
static __always_inline bool current_is_tenant(void)
{
	struct bpf_pidns_info info;
	long err;

	if (!tenants_only())
		return true;
	err = bpf_get_ns_current_pid_tgid(constants.pidns_dev, constants.pidns_ino, &info,
					  sizeof(info));
	if (err)
		telemetry_note(TELEMETRY_helper_pidns, (int)err);
	return err == 0;
}

static __always_inline bool task_is_typed(void)
{
	return TYPED_POINTERS &&
	       bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

/* Flags of the current task, and when its process began; 0 where memory can't be read. */
static __always_inline void current_read(__u32 *flags, __u64 *process_ns)
{
	struct task_struct *task;
	int failed = 0;

	*flags = 0;
	*process_ns = 0;
	if (task_is_typed()) {
		task = bpf_get_current_task_btf();
		*flags = task->flags;
		*process_ns = task->group_leader->start_boottime;
	} else if (constants.helper_read) {
		task = (struct task_struct *)bpf_get_current_task();
		*flags = READ(false, failed, task, flags);
		task = READ(false, failed, task, group_leader);
		*process_ns = READ(false, failed, task, start_boottime);
	}
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
}

/* Whether the process is the one that walks: settings.walker. */
static __always_inline bool is_walker(__u64 pid)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all && all->walker == pid;
}

/*
 * The current process becomes the owner. Only for hooks that run in process context. A kernel
 * thread, and a walk over files, can put the last reference of a socket, and own nothing: returns
 * false.
 */
static __always_inline bool conn_own(struct conn *conn, __u8 owner)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 process_ns;
	__u32 flags;

	current_read(&flags, &process_ns);
	if (pid_tgid >> 32 == 0 || flags & PF_KTHREAD || is_walker(pid_tgid >> 32))
		return false;
	conn->owner = owner;
	conn->pid = (__u32)(pid_tgid >> 32);
	conn->uid = (__u32)bpf_get_current_uid_gid();
	conn->process_ns = process_ns;
	conn->tenant = current_is_tenant();
	bpf_get_current_comm(&conn->comm, sizeof(conn->comm));
	return true;
}

static __always_inline void address_read(bool typed, int *failed, __u32 *words,
					 struct in6_addr *addr)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		words[i] = READ(typed, *failed, addr, in6_u.u6_addr32[i]);
}

static __always_inline bool address_is_v4_mapped(const __u32 *words)
{
	return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

/* An IPv4 address as all of them are kept. */
static __always_inline void address_of_v4(__u32 *words, __be32 addr)
{
	words[0] = addr;
	words[1] = words[2] = words[3] = 0;
}

/* All but the local port. */
static __always_inline void tuple_read_most(bool typed, int *failed, struct tuple *tuple,
					    struct sock *sk)
{
	__u16 family = READ(typed, *failed, sk, __sk_common.skc_family);
	__be16 dport = READ(typed, *failed, sk, __sk_common.skc_dport);

	tuple->dport = bpf_ntohs(dport);
	tuple->pad[0] = tuple->pad[1] = tuple->pad[2] = 0;
	if (family == AF_INET6) {
		address_read(typed, failed, tuple->daddr, &sk->__sk_common.skc_v6_daddr);
		if (!address_is_v4_mapped(tuple->daddr)) {
			tuple->family = 6;
			address_read(typed, failed, tuple->saddr,
				     &sk->__sk_common.skc_v6_rcv_saddr);
			return;
		}
	}
	tuple->family = 4;
#pragma unroll
	for (int i = 1; i < 4; i++)
		tuple->saddr[i] = tuple->daddr[i] = 0;
	tuple->saddr[0] = READ(typed, *failed, sk, __sk_common.skc_rcv_saddr);
	tuple->daddr[0] = READ(typed, *failed, sk, __sk_common.skc_daddr);
}

static __always_inline void tuple_read(bool typed, int *failed, struct tuple *tuple,
				       struct sock *sk, struct tcp_sock *tp)
{
	/* At the change to CLOSE skc_num is 0 already, inet_sport is not. */
	__be16 sport = READ(typed, *failed, tp, inet_conn.icsk_inet.inet_sport);

	tuple->sport = bpf_ntohs(sport);
	tuple_read_most(typed, failed, tuple, sk);
}

/* A number that no other connection has, where the kernel's is not to be had. */
static __always_inline __u64 cookie_make(void)
{
	__u32 zero = 0;
	__u64 *next = bpf_map_lookup_elem(&cookies, &zero);
	__u64 cpu = bpf_get_smp_processor_id();

	return next ? COOKIE_OWN | cpu << COOKIE_CPU_SHIFT | (*next)++ : COOKIE_OWN;
}

static __always_inline __u64 cookie_of(bool typed, struct sock *sk, const struct conn *conn)
{
	if (typed && constants.socket_cookie)
		return bpf_get_socket_cookie((void *)sk);
	return conn->cookie ? conn->cookie : cookie_make();
}

static __always_inline __u32 netns_read(bool typed, int *failed, struct sock *sk)
{
	struct net *net = READ(typed, *failed, sk, __sk_common.skc_net.net);

	return READ(typed, *failed, net, ns.inum);
}

/*
 * bytes_acked counts the SYN of the active opener (tcp_ack() of the SYN-ACK) and an acknowledged
 * FIN; bytes_sent counts neither, but retransmissions. Hence the smaller of the two.
 */
static __always_inline __u64 payload_acked(bool typed, int *failed, struct tcp_sock *tp,
					   bool syn_counted)
{
	__u64 acked = READ(typed, *failed, tp, bytes_acked);
	__u64 sent = READ(typed, *failed, tp, bytes_sent);
	__u64 retrans = READ(typed, *failed, tp, bytes_retrans);

	if (syn_counted && acked)
		acked--;
	sent = sent > retrans ? sent - retrans : 0;
	return acked < sent ? acked : sent;
}

/* tcp_fin() sets SOCK_DONE after the FIN was counted in bytes_received. */
static __always_inline __u64 payload_received(bool typed, int *failed, struct sock *sk,
					      struct tcp_sock *tp)
{
	__u64 received = READ(typed, *failed, tp, bytes_received);
	__u64 flags = READ(typed, *failed, sk, __sk_common.skc_flags);
	__u64 fin = flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;

	return received > fin ? received - fin : 0;
}

static __always_inline void event_fill_metrics(bool typed, int *failed, struct event *event,
					       struct sock *sk, struct tcp_sock *tp)
{
	__u32 min_rtt_us = READ(typed, *failed, tp, rtt_min.s[0].v);
	bool syn_counted = event->direction == DIRECTION_OUTGOING && event->established_ns;

	event->bytes_sent = payload_acked(typed, failed, tp, syn_counted);
	event->bytes_received = payload_received(typed, failed, sk, tp);
	event->segs_out = READ(typed, *failed, tp, segs_out);
	event->segs_in = READ(typed, *failed, tp, segs_in);
	event->retransmits = READ(typed, *failed, tp, total_retrans);
	event->srtt_us = READ(typed, *failed, tp, srtt_us) >> 3;
	event->rttvar_us = READ(typed, *failed, tp, mdev_us) >> 2;
	event->min_rtt_us = min_rtt_us == ~0u ? 0 : min_rtt_us;
	event->lost = READ(typed, *failed, tp, lost);
	event->reordered = READ(typed, *failed, tp, reord_seen);
	event->ecn_marked = READ(typed, *failed, tp, delivered_ce);
	event->ecn = READ(typed, *failed, tp, ecn_flags) & TCP_ECN_OK;
}

static __always_inline __u32 listener_drops(bool typed, int *failed, struct sock *sk)
{
	return (__u32)READ(typed, *failed, sk, sk_drops.counter);
}

static __always_inline void event_fill_listener(bool typed, int *failed, struct event *event,
						struct sock *sk)
{
	event->drops = listener_drops(typed, failed, sk);
	event->queue = READ(typed, *failed, sk, sk_ack_backlog);
	event->queue_max = READ(typed, *failed, sk, sk_max_ack_backlog);
}

static __always_inline void event_fill_owner(struct event *event, const struct conn *conn)
{
	__u64 *comm = (__u64 *)event->comm;

	event->owner = conn->owner;
	event->pid = conn->pid;
	event->uid = conn->uid;
	event->process_ns = conn->process_ns;
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

static __always_inline bool port_is_ephemeral(__u16 port)
{
	return port >= constants.ephemeral_low && port <= constants.ephemeral_high;
}

/* Who opened a connection that is older than the tracer: who has the port that nobody chose. */
static __always_inline __u8 direction_guess(const struct tuple *tuple)
{
	bool local = port_is_ephemeral(tuple->sport);

	if (!constants.ephemeral_high || local == port_is_ephemeral(tuple->dport))
		return DIRECTION_UNKNOWN;
	return local ? DIRECTION_OUTGOING : DIRECTION_INCOMING;
}

/* Room in the ring, zeroed, with what every record carries; NULL when the ring is full. */
static __always_inline struct event *event_reserve(struct report *report)
{
	__u64 seq = report->cpu == EVENT_CPU_WALK ? walk_number() : report->seq++;
	struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event) {
		telemetry_note(TELEMETRY_map_ring, 0);
		return NULL;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->version = EVENT_VERSION;
	event->type = report->type;
	event->cpu = report->cpu;
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

/* The walk's record is not to be: its room is passed over, and its number is the next one's. */
static __always_inline void event_discard(struct event *event)
{
	walk_number_return();
	bpf_ringbuf_discard(event, BPF_RB_NO_WAKEUP);
}

static __always_inline struct tcp_sock *tcp_sock_of(bool typed, struct sock *sk)
{
	return typed ? bpf_skc_to_tcp_sock((void *)sk) : (struct tcp_sock *)sk;
}

#define COUNT_OUTCOME(count, type, outcome) \
	do { \
		if ((outcome) == OUTCOME_SUBMITTED) \
			COUNT(count, submitted_##type); \
		else if ((outcome) == OUTCOME_FILTERED) \
			COUNT(count, filtered_##type); \
		else if ((outcome) == OUTCOME_SAMPLED) \
			COUNT(count, sampled_##type); \
		else \
			COUNT(count, lost_##type); \
	} while (0)

/* What is remembered goes into the record; the rest comes from the socket. */
static __always_inline void event_fill_memory(struct event *event, const struct report *report,
					      const struct tuple *tuple)
{
	event->closer = report->conn.closer;
	if (report->flags & EVENT_F_PARTIAL) {
		event->direction = direction_guess(tuple);
		return;
	}
	event->direction = report->conn.direction;
	event->opened_ns = report->conn.opened_ns;
	event->established_ns = report->conn.established_ns;
}

/*
 * What no sample leaves out: the drops of a listener, and a connection that ended with an error, or
 * was never established.
 */
static __always_inline bool report_is_failure(const struct report *report)
{
	if (report->type == EVENT_LISTENER)
		return true;
	if (report->type != EVENT_CLOSE)
		return false;
	if (report->flags & EVENT_F_PARTIAL)
		return report->error || report->state == TCP_SYN_SENT;
	return report->error || !report->conn.established_ns;
}

/*
 * Whether what is remembered of a socket now is still the connection, or the listener, of then. An
 * end is noted there before room is taken for its record (conn_forget()). So if there is none yet
 * after room was taken for an update, the update is first in the ring.
 */
static __always_inline bool conn_is_same(const struct conn *now, const struct conn *then)
{
	return now->flags & then->flags & (CONN_OPENED | CONN_LISTENER) &&
	       now->opened_ns == then->opened_ns && now->cookie == then->cookie;
}

/* now: what is remembered, of an update; else NULL. */
static __always_inline int conn_report_by(bool typed, struct sock *sk, struct report *report,
					  const struct conn *now)
{
	struct tcp_sock *tp = tcp_sock_of(typed, sk);
	struct subject *subject = &report->subject;
	struct cgroup *cgroup;
	struct event *event;
	int outcome, failed = 0;

	if (!tp || (tenants_only() && !report->conn.tenant))
		return OUTCOME_FILTERED;
	tuple_read(typed, &failed, &subject->tuple, sk, tp);
	cgroup = cgroup_of(typed, &failed, sk);
	report->error = report->type == EVENT_CLOSE ? (__u32)READ(typed, failed, sk, sk_err) : 0;
	subject->cookie = cookie_of(typed, sk, &report->conn);
	subject->cgroup_id = 0;
	subject->protocols = PROTOCOL_TCP;
	subject->type = report->type == EVENT_LISTENER ? EVENT_UPDATE : report->type;
	subject->failed = report_is_failure(report);
	outcome = filters_decide(cgroup_is_typed(typed), cgroup, subject);
	if (outcome != OUTCOME_SUBMITTED)
		return outcome;
	event = event_reserve(report);
	if (!event)
		return OUTCOME_LOST;
	if (now && !conn_is_same(now, &report->conn)) {
		event_discard(event);
		return OUTCOME_ENDED;
	}
	event->protocol = IPPROTO_TCP;
	event->state = report->state;
	event->flags = report->flags;
	event_fill_tuple(event, &subject->tuple);
	event->cookie = subject->cookie;
	event->netns = netns_read(typed, &failed, sk);
	event->cgroup_id = cgroup_id_read(cgroup_is_typed(typed), &failed, cgroup);
	event_fill_owner(event, &report->conn);
	if (report->type == EVENT_LISTENER) {
		event_fill_listener(typed, &failed, event, sk);
	} else {
		event_fill_memory(event, report, &subject->tuple);
		event_fill_metrics(typed, &failed, event, sk, tp);
	}
	event->error = (__u16)report->error;
	if (report->type == EVENT_CLOSE)
		event->closed_ns = report->now_ns;
	event_submit(event);
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
	return OUTCOME_SUBMITTED;
}

/* Writes one record. */
static __noinline int conn_report(struct sock *sk, struct report *report, const struct conn *now)
{
	return conn_report_by(TYPED_POINTERS, sk, report, now);
}

/* The same for a socket that is only known by its address. */
static __noinline int conn_report_untyped(struct sock *sk, struct report *report,
					  const struct conn *now)
{
	return conn_report_by(false, sk, report, now);
}

#endif
