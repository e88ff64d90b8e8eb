/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP flows. Datagrams are counted where the kernel hands them to IP and where a process takes them
 * from its socket, both in the process that does it. The destruction of a socket ends its newest
 * flow, mostly its only one; the walk ends the others, and those that are idle.
 *
 * Several processes can count in a flow at the same time, hence the atomic additions. Who deletes
 * the entry reports the end: the kernel lets only one.
 */
#ifndef CONNTRACE_FLOW_H
#define CONNTRACE_FLOW_H

#include "snapshot.h"

/* The programs that write records of flows; each has sequences of its own. */
enum flow_hook {
	FLOW_SEND,
	FLOW_SEND6,
	FLOW_RECEIVE,
	FLOW_END,
	FLOW_END6,
	FLOW_HOOK_COUNT,
};
_Static_assert(FLOW_HOOK_COUNT *EVENT_CPU_FLOW < EVENT_CPU_CONNECT, "flow: sequences");

/* As in run.h: what a run works with, for each level of them. */
struct flow_level {
	struct report report;
	struct flow flow;
};

struct flow_work {
	struct flow_level level[LEVELS];
	__u64 depth;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_HOOK_COUNT);
	__type(key, __u32);
	__type(value, struct flow_work);
} flow_works SEC(".maps");

/* What one call sent or received. */
struct datagrams {
	struct tuple tuple;
	__u64 bytes; /* payload */
	__u32 count;
	bool sent;
};

static __always_inline struct flow_level *flow_begin(struct flow_work *work, __u32 hook)
{
	__u32 number = work->depth++ & (LEVELS - 1);
	struct flow_level *level = &work->level[number];

	level->report.cpu = bpf_get_smp_processor_id() | number * EVENT_CPU_NESTED |
			    (hook + 1) * EVENT_CPU_FLOW;
	return level;
}

/* --- from a flow to a record --- */

static __always_inline void flow_tuple(struct tuple *tuple, const struct flow_key *key,
				       const struct flow *flow)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		tuple->saddr[i] = flow->saddr[i];
		tuple->daddr[i] = key->addr[i];
	}
	tuple->sport = flow->sport;
	tuple->dport = key->port;
	tuple->family = key->family;
	tuple->pad[0] = tuple->pad[1] = tuple->pad[2] = 0;
}

/*
 * Writes one record. report has its type, flags and sequence. An end deletes the entry before it
 * takes room for its record: see conn_is_same().
 */
static __noinline int flow_report(struct report *report, const struct flow_key *key,
				  const struct flow *flow)
{
	struct subject *subject = &report->subject;
	struct event *event;
	int outcome;

	if (tenants_only() && !flow->conn.tenant)
		return OUTCOME_FILTERED;
	flow_tuple(&subject->tuple, key, flow);
	subject->cookie = flow->conn.cookie;
	subject->cgroup_id = flow->cgroup_id;
	subject->protocols = PROTOCOL_UDP;
	subject->type = report->type;
	subject->failed = 0;
	outcome = filters_decide(false, (struct cgroup *)flow->conn.flow_cgroup, subject);
	if (outcome != OUTCOME_SUBMITTED)
		return outcome;
	event = event_reserve(report);
	if (!event)
		return OUTCOME_LOST;
	if (report->type == EVENT_UPDATE && !bpf_map_lookup_elem(&flow_table, key)) {
		event_discard(event);
		return OUTCOME_ENDED;
	}
	event->protocol = IPPROTO_UDP;
	event->flags = report->flags | (flow->assured ? EVENT_F_ASSURED : 0);
	if (flow->conn.flags & CONN_SEEDED)
		event->flags |= EVENT_F_PARTIAL | EVENT_F_SEEDED;
	event_fill_tuple(event, &subject->tuple);
	event_fill_owner(event, &flow->conn);
	event->direction = flow->conn.direction;
	event->cookie = flow->conn.cookie;
	event->netns = flow->netns;
	event->cgroup_id = flow->cgroup_id;
	event->opened_ns = flow->conn.opened_ns;
	if (report->type == EVENT_CLOSE)
		event->closed_ns = flow->last_ns;
	event->bytes_sent = flow->bytes_sent;
	event->bytes_received = flow->bytes_received;
	event->segs_out = flow->sent;
	event->segs_in = flow->received;
	event_submit(event);
	return OUTCOME_SUBMITTED;
}

static __always_inline void flow_report_fill(struct report *report, __u8 type, __u8 flags)
{
	report->now_ns = bpf_ktime_get_ns();
	report->type = type;
	report->flags = flags;
}

/* --- datagrams --- */

/* The socket's entry, made if there is none; NULL when there is no room. */
static __always_inline struct flow_socket *flow_socket_get(struct sock *sk)
{
	struct flow_socket fresh = {.born_ns = 0};
	struct flow_socket *socket;
	__u64 key = (__u64)sk;
	int err;

	socket = bpf_map_lookup_elem(&flow_sockets, &key);
	if (socket)
		return socket;
	fresh.born_ns = bpf_ktime_get_ns();
	/* An int, whatever the upper half of the register holds (before Linux 6.4). */
	err = (int)bpf_map_update_elem(&flow_sockets, &key, &fresh, BPF_NOEXIST);
	if (err && err != -EEXIST)
		telemetry_note(TELEMETRY_map_flow_sockets, err);
	return bpf_map_lookup_elem(&flow_sockets, &key);
}

/*
 * Assured as the kernel's connection tracking means it: a reply was seen, and then another
 * datagram.
 */
static __always_inline void flow_count(struct flow *flow, const struct datagrams *seen)
{
	bool reply = seen->sent ? flow->received : flow->sent;

	flow->last_ns = bpf_ktime_get_ns();
	if (seen->sent) {
		(void)__sync_fetch_and_add(&flow->bytes_sent, seen->bytes);
		(void)__sync_fetch_and_add(&flow->sent, seen->count);
	} else {
		(void)__sync_fetch_and_add(&flow->bytes_received, seen->bytes);
		(void)__sync_fetch_and_add(&flow->received, seen->count);
	}
	if (flow->replied || (reply && seen->count > 1))
		flow->assured = 1;
	if (reply)
		flow->replied = 1;
}

/* A flow of which nothing was seen yet. */
static __always_inline void flow_init(bool typed, struct flow *flow, struct sock *sk,
				      const struct tuple *tuple)
{
	struct cgroup *cgroup;
	int failed = 0;

	__builtin_memset(flow, 0, sizeof(*flow));
	flow->last_ns = bpf_ktime_get_ns();
	flow->conn.cookie = cookie_make();
	flow->netns = netns_read(typed, &failed, sk);
	cgroup = cgroup_of(typed, &failed, sk);
	flow->conn.flow_cgroup = (__u64)cgroup;
	flow->cgroup_id = cgroup_id_read(cgroup_is_typed(typed), &failed, cgroup);
#pragma unroll
	for (int i = 0; i < 4; i++)
		flow->saddr[i] = tuple->saddr[i];
	flow->sport = tuple->sport;
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
}

/* A flow that begins with these datagrams. */
static __always_inline void flow_make(struct flow *flow, struct sock *sk,
				      const struct datagrams *seen)
{
	flow_init(TYPED_POINTERS, flow, sk, &seen->tuple);
	flow->conn.opened_ns = flow->last_ns;
	flow->conn.direction = seen->sent ? DIRECTION_OUTGOING : DIRECTION_INCOMING;
	(void)conn_own(&flow->conn, seen->sent ? OWNER_SEND : OWNER_RECEIVE);
	flow->bytes_sent = seen->sent ? seen->bytes : 0;
	flow->sent = seen->sent ? seen->count : 0;
	flow->bytes_received = seen->sent ? 0 : seen->bytes;
	flow->received = seen->sent ? 0 : seen->count;
}

/* Returns 0 or a negative errno. */
static __always_inline int flow_enter(struct flow_socket *socket, const struct flow_key *key,
				      const struct flow *flow)
{
	int err = (int)bpf_map_update_elem(&flow_table, key, flow, BPF_NOEXIST);

	if (!err) {
		socket->last = *key;
		(void)__sync_fetch_and_add(&socket->flows, 1);
	}
	return err;
}

/* The flow did not exist. Returns whether the datagrams are counted. */
static __always_inline bool flow_open(struct sock *sk, struct flow_socket *socket,
				      const struct flow_key *key, const struct datagrams *seen,
				      struct counters *count, __u32 hook)
{
	const struct settings_slot *slot = settings_get();
	struct flow_work *work = bpf_map_lookup_elem(&flow_works, &hook);
	struct flow_level *level;
	struct flow *flow;
	int outcome;
	int err;

	if (!work)
		return false;
	level = flow_begin(work, hook);
	flow_make(&level->flow, sk, seen);
	err = flow_enter(socket, key, &level->flow);
	if (!err)
		COUNT(count, opened_flow);
	if (!err && slot && slot->record_open) {
		flow_report_fill(&level->report, EVENT_OPEN, 0);
		outcome = flow_report(&level->report, key, &level->flow);
		COUNT_OUTCOME(count, open, outcome);
	}
	work->depth--;
	if (!err)
		return true;
	/* Another process was first. */
	flow = err == -EEXIST ? bpf_map_lookup_elem(&flow_table, key) : NULL;
	if (flow)
		flow_count(flow, seen);
	else
		telemetry_note(TELEMETRY_map_flow_table, err);
	return flow != NULL;
}

static __always_inline void flow_key_make(struct flow_key *key, struct sock *sk, __u64 born_ns,
					  const struct tuple *tuple)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->sk = (__u64)sk;
	key->born_ns = born_ns;
#pragma unroll
	for (int i = 0; i < 4; i++)
		key->addr[i] = tuple->daddr[i];
	key->port = tuple->dport;
	key->family = tuple->family;
}

static __always_inline void on_datagrams(struct sock *sk, const struct datagrams *seen,
					 struct counters *count, __u32 hook)
{
	struct flow_socket *socket = flow_socket_get(sk);
	bool counted = false;
	struct flow_key key;
	struct flow *flow;

	if (socket) {
		flow_key_make(&key, sk, socket->born_ns, &seen->tuple);
		flow = bpf_map_lookup_elem(&flow_table, &key);
		if (flow)
			flow_count(flow, seen);
		counted = flow || flow_open(sk, socket, &key, seen, count, hook);
	}
	if (!counted)
		(void)__sync_fetch_and_add(&count->lost_flow_full, seen->count);
}

/* --- ends --- */

/*
 * The flow has ended; unless another end was quicker it is reported. copy has room for it: the
 * entry can be another's as soon as it is deleted.
 */
static __always_inline bool flow_end(struct report *report, struct flow *copy,
				     const struct flow_key *key, __u8 flags, struct counters *count)
{
	const struct flow *flow = bpf_map_lookup_elem(&flow_table, key);
	int outcome;

	if (!flow)
		return false;
	*copy = *flow;
	if (bpf_map_delete_elem(&flow_table, key))
		return false;
	COUNT(count, closed);
	flow_report_fill(report, EVENT_CLOSE, flags);
	outcome = flow_report(report, key, copy);
	COUNT_OUTCOME(count, close, outcome);
	return true;
}

/* --- the walk: before the one over the connections, whose end is the end of both --- */

static struct flow walk_flow;

static __always_inline bool flow_is_idle(const struct flow *flow)
{
	__u64 limit_ns = flow->assured ? constants.flow_idle_assured_ns : constants.flow_idle_ns;

	return bpf_ktime_get_ns() - flow->last_ns > limit_ns;
}

/* A socket without flows is forgotten: it may stay open for ever. */
static __always_inline void flow_left(struct flow_socket *socket, const struct flow_key *key)
{
	(void)__sync_fetch_and_add(&socket->flows, -1ull);
	if (!socket->flows)
		(void)bpf_map_delete_elem(&flow_sockets, &key->sk);
}

static __always_inline void flow_update(struct flow *flow, const struct flow_key *key,
					struct counters *count)
{
	__u64 told = told_make(&walk_flow_tally, flow->sent + flow->received, 0, flow->conn.owner);
	int outcome;

	tally_met(&walk_flow_tally, &flow->conn);
	if (flow->conn.told == told || snapshot_leaves_out(&walk_flow_tally, count))
		return;
	flow_report_fill(&walk_report, EVENT_UPDATE, 0);
	walk_flow = *flow;
	outcome = flow_report(&walk_report, key, &walk_flow);
	if (outcome != OUTCOME_ENDED)
		COUNT_OUTCOME(count, update, outcome);
	tally_told(&walk_flow_tally, &flow->conn, told, outcome);
}

/* Returns what an iterator does: see snapshot_visit(). */
static __always_inline int flow_visit(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flow_table, key);
	struct counters *count = counters_get();
	struct flow_socket *socket;

	if (!flow || !count)
		return 0;
	if (snapshot_waits())
		return 1;
	COUNT(count, run_walk);
	walk_report.cpu = EVENT_CPU_WALK;
	socket = bpf_map_lookup_elem(&flow_sockets, &key->sk);
	if (!socket || socket->born_ns != key->born_ns)
		(void)flow_end(&walk_report, &walk_flow, key, 0, count);
	else if (!flow_is_idle(flow))
		flow_update(flow, key, count);
	else if (flow_end(&walk_report, &walk_flow, key, EVENT_F_IDLE, count))
		flow_left(socket, key);
	return 0;
}

SEC("iter/bpf_map_elem")
int walk_flows(struct bpf_iter__bpf_map_elem *ctx)
{
	const struct flow_key *key = ctx->key;
	struct flow_key copy;

	tally_begin(&walk_flow_tally, ctx->meta);
	if (!key)
		return 0;
	copy = *key;
	if (flow_visit(&copy))
		return 1;
	slice_count(ctx->meta);
	return 0;
}

#endif
