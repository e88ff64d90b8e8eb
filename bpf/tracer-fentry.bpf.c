/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fentry tracer: BPF trampolines at the entry of kernel functions whose arguments don't change.
 */
#include "flow.h"
#include "hooks.h"
#include "seed.h"
#include "walk_table.h"

SEC("fentry/tcp_set_state")
int trace_set_state(const __u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];

	on_state(sk, sk->__sk_common.skc_state, (int)ctx[1]);
	return 0;
}

SEC("fentry/inet_csk_listen_start")
int trace_listen(const __u64 *ctx)
{
	on_listen((struct sock *)ctx[0]);
	return 0;
}

SEC("fentry/security_sock_graft")
int trace_accept(const __u64 *ctx)
{
	on_accept((struct sock *)ctx[0]);
	return 0;
}

SEC("fentry/tcp_child_process")
int trace_child(const __u64 *ctx)
{
	on_child((struct sock *)ctx[0], (struct sock *)ctx[1]);
	return 0;
}

SEC("fentry/inet_csk_destroy_sock")
int trace_destroy_sock(const __u64 *ctx)
{
	on_destroy((struct sock *)ctx[0]);
	return 0;
}

SEC("fentry/udp_send_skb")
int trace_udp_send(const __u64 *ctx)
{
	on_udp_send((struct sk_buff *)ctx[0], (struct flowi4 *)ctx[1], NULL,
		    (struct inet_cork *)ctx[2], FLOW_SEND);
	return 0;
}

SEC("fentry/udp_v6_send_skb")
int trace_udp6_send(const __u64 *ctx)
{
	on_udp_send((struct sk_buff *)ctx[0], NULL, (struct flowi6 *)ctx[1],
		    (struct inet_cork *)ctx[2], FLOW_SEND6);
	return 0;
}

SEC("fentry/skb_consume_udp")
int trace_udp_recv(const __u64 *ctx)
{
	on_udp_receive((struct sock *)ctx[0], (struct sk_buff *)ctx[1], (int)ctx[2]);
	return 0;
}

SEC("fentry/udp_destroy_sock")
int trace_udp_end(const __u64 *ctx)
{
	on_udp_destroy((struct sock *)ctx[0], FLOW_END);
	return 0;
}

SEC("fentry/udpv6_destroy_sock")
int trace_udp6_end(const __u64 *ctx)
{
	on_udp_destroy((struct sock *)ctx[0], FLOW_END6);
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int walk_connections(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return snapshot_visit(true, ctx->sk, ctx->value, ctx->meta->seq_num == 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
