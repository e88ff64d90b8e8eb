/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connects that fail at once: connect(2) returns the error, and the socket has no part in it. Most
 * have not even changed its state (no route); some have and took it back (no port left), which
 * state_changed() leaves to what is here. Both have one record, made where the kernel's function
 * for it returns. It holds the socket's lock until then.
 */
#ifndef CONNTRACE_CONNECT_H
#define CONNTRACE_CONNECT_H

#include "lifecycle.h"

#define SOCKADDR_IN_BYTES  16
#define SOCKADDR_IN6_BYTES 24 /* SIN6_LEN_RFC2133 */

/* The beginnings of struct sockaddr_in and struct sockaddr_in6: include/uapi/linux/in.h, in6.h. */
struct asked {
	__u16 family;
	__be16 port;
	__u32 v4_or_flow;
};

/* Where to: as the process said it, which may be nonsense and is then left at zero. */
static __always_inline void asked_read(int *failed, struct tuple *tuple, const void *addr, int len)
{
	struct asked asked = {.family = 0};

	if (len < SOCKADDR_IN_BYTES)
		return;
	*failed |= (int)bpf_probe_read_kernel(&asked, sizeof(asked), addr);
	if (asked.family == AF_INET) {
		tuple->family = 4;
		tuple->daddr[0] = asked.v4_or_flow;
	} else if (asked.family == AF_INET6 && len >= SOCKADDR_IN6_BYTES) {
		tuple->family = 6;
		*failed |= (int)bpf_probe_read_kernel(tuple->daddr, sizeof(tuple->daddr),
						      addr + sizeof(asked));
	} else {
		return;
	}
	tuple->dport = bpf_ntohs(asked.port);
}

static __always_inline void attempt_read(int *failed, struct tuple *tuple, struct sock *sk,
					 const void *addr, int len)
{
	__u16 family = READ(TYPED_POINTERS, *failed, sk, __sk_common.skc_family);

	__builtin_memset(tuple, 0, sizeof(*tuple));
	tuple->family = family == AF_INET6 ? 6 : 4;
	asked_read(failed, tuple, addr, len);
	if (tuple->family == 6 && address_is_v4_mapped(tuple->daddr)) {
		tuple->family = 4;
		address_of_v4(tuple->daddr, tuple->daddr[3]);
	}
	/* The port that it was bound to: what the kernel chose is taken back. */
	tuple->sport = READ(TYPED_POINTERS, *failed, sk, __sk_common.skc_num);
	if (tuple->family == 4)
		tuple->saddr[0] = READ(TYPED_POINTERS, *failed, sk, __sk_common.skc_rcv_saddr);
	else if (family == AF_INET6)
		address_read(TYPED_POINTERS, failed, tuple->saddr,
			     &sk->__sk_common.skc_v6_rcv_saddr);
}

/*
 * Writes one record. No byte was sent: the socket's counts are at best an earlier connection's.
 * failed: of what was read for it.
 */
static __noinline int attempt_report(struct sock *sk, struct report *report, int error, int failed)
{
	struct subject *subject = &report->subject;
	struct cgroup *cgroup;
	struct event *event;
	int outcome;

	if (tenants_only() && !report->conn.tenant)
		return OUTCOME_FILTERED;
	cgroup = cgroup_of(TYPED_POINTERS, &failed, sk);
	subject->cookie = cookie_of(TYPED_POINTERS, sk, &report->conn);
	subject->cgroup_id = 0;
	subject->protocols = PROTOCOL_TCP;
	subject->type = EVENT_CLOSE;
	subject->failed = 1;
	outcome = filters_decide(cgroup_is_typed(TYPED_POINTERS), cgroup, subject);
	if (outcome != OUTCOME_SUBMITTED)
		return outcome;
	event = event_reserve(report);
	if (!event)
		return OUTCOME_LOST;
	event->protocol = IPPROTO_TCP;
	event->state = report->state;
	event_fill_tuple(event, &subject->tuple);
	event_fill_owner(event, &report->conn);
	event->direction = DIRECTION_OUTGOING;
	event->cookie = subject->cookie;
	event->netns = netns_read(TYPED_POINTERS, &failed, sk);
	event->cgroup_id = cgroup_id_read(cgroup_is_typed(TYPED_POINTERS), &failed, cgroup);
	event->opened_ns = report->conn.opened_ns;
	event->closed_ns = report->now_ns;
	event->error = (__u16)error;
	event_submit(event);
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
	return OUTCOME_SUBMITTED;
}

/* Of one that did not change the socket's state nothing is remembered, and nothing needs to be. */
static __always_inline void attempt_make(struct report *report, struct counters *count)
{
	report_fill(report, EVENT_CLOSE, TCP_CLOSE, NULL);
	report->conn.opened_ns = report->now_ns;
	(void)conn_own(&report->conn, OWNER_CONNECT);
	COUNT(count, opened_connect);
}

static __always_inline void connect_failed(struct sock *sk, struct conn *conn, const void *addr,
					   int len, int error, __u32 hook)
{
	bool begun = conn && conn->flags & CONN_CONNECTING;
	struct run run;
	int failed = 0;
	int outcome;

	if (!run_begin(&run, hook))
		return;
	COUNT(run.count, run_connect);
	if (begun)
		report_fill(run.report, EVENT_CLOSE, TCP_SYN_SENT, conn);
	else
		attempt_make(run.report, run.count);
	COUNT(run.count, closed);
	attempt_read(&failed, &run.report->subject.tuple, sk, addr, len);
	if (begun)
		conn_forget(sk, conn, run.count);
	outcome = attempt_report(sk, run.report, error, failed);
	COUNT_OUTCOME(run.count, close, outcome);
	run_end(&run);
}

/*
 * tcp_v4_connect() or tcp_v6_connect() returns 0 or a negative errno; addr and len are what
 * connect(2) was given. For an IPv4 address the latter calls the former, whose return then is none.
 */
static __always_inline void on_connect_return(struct sock *sk, const void *addr, int len, int err,
					      __u32 hook)
{
	struct conn *conn = store_get(sk);

	if (!is_in_charge(false))
		return;
	if (err)
		connect_failed(sk, conn, addr, len, -err, hook);
	else if (conn)
		conn->flags &= ~CONN_CONNECTING;
}

static __always_inline bool sk_is_v4(struct sock *sk)
{
	int failed = 0;

	return READ(TYPED_POINTERS, failed, sk, __sk_common.skc_family) == AF_INET;
}

#endif
