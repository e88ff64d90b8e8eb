/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets of every network namespace with the process that has them open: a walk over the files of
 * all processes. When the programs have just been attached it finds those that are older than the
 * tracer; later it should find none that is not known, and counts those it does. Of several
 * processes that have a socket open the first one counts.
 *
 * Once that is done such a walk tells what has changed, too, where sockets have storage: the kernel
 * goes on with it from where it was, while through the storage of all sockets it counts. What no
 * process has open, since it is not accepted yet or closed already, waits for a whole walk.
 *
 * A UDP socket has a flow if it is connected. Only at first: later one without a flow has been
 * idle.
 */
#ifndef CONNTRACE_SEED_H
#define CONNTRACE_SEED_H

#include "flow.h"

/* The kernel tells only what namespace the children get: unshare(2) without fork is missed. */
static __always_inline bool task_is_tenant(struct task_struct *task)
{
	return !tenants_only() ||
	       task->nsproxy->pid_ns_for_children->ns.inum == constants.pidns_ino;
}

static __always_inline void seed_own(struct conn *conn, struct task_struct *task)
{
	const __u64 *comm = (const __u64 *)&task->group_leader->comm;

	conn->owner = OWNER_SEEDED;
	conn->pid = (__u32)task->tgid;
	conn->uid = task->cred->uid.val;
	conn->process_ns = task->group_leader->start_boottime;
	conn->tenant = task_is_tenant(task);
	conn->comm[0] = comm[0];
	conn->comm[1] = comm[1];
}

/* Who sent the first FIN, as the state tells. */
static __always_inline __u8 seed_closer(__u8 state)
{
	if (state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2)
		return CLOSER_LOCAL;
	return state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK ? CLOSER_REMOTE : CLOSER_NONE;
}

static __always_inline void seed_flow(struct sock *sk, struct task_struct *task,
				      struct counters *count)
{
	struct flow_socket *socket;
	struct flow_key key;
	struct tuple tuple;
	int failed = 0;
	int err;

	tuple.sport = sk->__sk_common.skc_num;
	tuple_read_most(true, &failed, &tuple, sk);
	if (!tuple.dport)
		return;
	COUNT(count, run_seed);
	socket = flow_socket_get(sk);
	if (!socket)
		return;
	flow_key_make(&key, sk, socket->born_ns, &tuple);
	flow_init(true, &walk_flow, sk, &tuple);
	walk_flow.conn.flags = CONN_SEEDED;
	walk_flow.conn.direction = direction_guess(&tuple);
	seed_own(&walk_flow.conn, task);
	err = flow_enter(socket, &key, &walk_flow);
	if (!err)
		COUNT(count, opened_seeded);
	else if (err != -EEXIST)
		telemetry_note(TELEMETRY_map_flow_table, err);
}

static __always_inline void seed_socket(struct sock *sk, struct task_struct *task)
{
	struct counters *count = counters_get();
	__u8 state = sk->__sk_common.skc_state;
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	struct conn *conn;

	if (!count || !state)
		return;
	if (sk->sk_protocol == IPPROTO_UDP && state == TCP_ESTABLISHED && all && all->seeds_flows &&
	    !all->seeded)
		seed_flow(sk, task, count);
	if (sk->sk_protocol != IPPROTO_TCP)
		return;
	COUNT(count, run_seed);
	/* What ended before the tracer is not to be reported when the socket goes away. */
	if (state == TCP_CLOSE) {
		conn = store_is_table() ? NULL : store_create_last(sk, count);
		if (conn && !conn->flags)
			conn->flags = CONN_CLOSED;
		return;
	}
	conn = conn_create(sk, count);
	if (!conn && all && !all->seeded)
		COUNT(count, storage_failed);
	/* The other programs run already: what they have noted is better than what is seen here. */
	if (!conn || conn->owner != OWNER_UNKNOWN)
		return;
	seed_own(conn, task);
	if (state == TCP_LISTEN) {
		conn->owner = OWNER_LISTEN;
		conn->flags = CONN_LISTENER;
	} else if (!conn_is_open(conn)) {
		conn->flags = CONN_OPENED | CONN_SEEDED;
		if (conn->closer == CLOSER_NONE)
			conn->closer = seed_closer(state);
		COUNT(count, opened_seeded);
		if (all && all->seeded && all->room == ROOM_LEFT)
			COUNT(count, unaccounted);
	}
}

static __always_inline bool seed_tells(void)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return !store_is_table() && all && all->seeded;
}

/* Returns whether the walk has to wait before it can go on with this socket. */
static __always_inline bool seed_tell(struct sock *sk)
{
	struct counters *count = counters_get();
	struct conn *conn = NULL;

	if (TYPED_POINTERS && count && sk->sk_protocol == IPPROTO_TCP)
		conn = store_get(sk);
	return conn && snapshot_socket(TYPED_POINTERS, sk, conn, count);
}

/* Who goes through the files. What closes under its hands is closed by it, and not its own. */
static __always_inline void seed_note_walker(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	__u64 pid = bpf_get_current_pid_tgid() >> 32;

	if (all && all->walker != pid)
		all->walker = pid;
}

SEC("iter/task_file")
int seed_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	bool tells = seed_tells();
	struct socket *socket;
	struct sock *sk = NULL;

	seed_note_walker();
	if (tells)
		tally_begin(&walk_tally, ctx->meta);
	if (!task || !file) {
		if (tells)
			snapshot_end(false);
		return 0;
	}
	socket = bpf_sock_from_file(file);
	if (socket)
		sk = socket->sk;
	if (sk) {
		seed_socket(sk, task);
		if (tells && seed_tell(sk))
			return 1;
	}
	slice_count(ctx->meta);
	return 0;
}

#endif
