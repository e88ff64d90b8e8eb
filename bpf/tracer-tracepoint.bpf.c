/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracepoint tracer: BTF tracepoints and an iterator only, so neither kprobes nor BPF
 * trampolines are needed. Nothing runs where data is sent or received; the kernel's own counters
 * are read when the state of a connection changes.
 */
#include "lifecycle.h"
#include "snapshot.h"

#define STATE_BIT(state) (1u << (state))
#define STATES_OF_INTEREST \
	(STATE_BIT(TCP_ESTABLISHED) | STATE_BIT(TCP_SYN_SENT) | STATE_BIT(TCP_FIN_WAIT1) | \
	 STATE_BIT(TCP_CLOSE) | STATE_BIT(TCP_LAST_ACK) | STATE_BIT(TCP_LISTEN))

SEC("tp_btf/inet_sock_set_state")
int trace_set_state(const __u64 *ctx)
{
	const struct sock *sk = (const struct sock *)ctx[0];
	int oldstate = (int)ctx[1];
	int newstate = (int)ctx[2];
	bool accepted = oldstate == TCP_SYN_RECV && newstate != TCP_CLOSE;
	struct counters *count;

	if (!accepted && !(STATE_BIT(newstate) & STATES_OF_INTEREST))
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	count = counters_get();
	if (!count)
		return 0;
	if (newstate == TCP_CLOSE)
		conn_end(sk, count, oldstate);
	else if (newstate == TCP_SYN_SENT)
		conn_connect(sk, count);
	else if (newstate == TCP_LISTEN)
		conn_listen(sk, count);
	else if (accepted || newstate == TCP_ESTABLISHED)
		conn_establish(sk, count, accepted, (__u8)newstate);
	if (newstate == TCP_FIN_WAIT1 || newstate == TCP_LAST_ACK)
		conn_own_closing(sk);
	return 0;
}

/* A program is not entered again on the CPU it interrupts: the change to CLOSE can be missed. */
SEC("tp_btf/tcp_destroy_sock")
int trace_destroy_sock(const __u64 *ctx)
{
	const struct sock *sk = (const struct sock *)ctx[0];
	struct conn *conn = conn_get(sk, 0);
	struct counters *count;

	if (!conn_is_open(conn))
		return 0;
	count = counters_get();
	if (count)
		conn_close(sk, conn, count, TCP_CLOSE, EVENT_CPU_LATE);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int walk_connections(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	snapshot_visit(ctx->sk, ctx->value, ctx->meta->seq_num == 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
