/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What takes BPF trampolines in every tracer whose pointers have types: UDP, since no tracepoint
 * tells who the peer is and how much it was; and connects that fail at once.
 */
#ifndef CONNTRACE_TRAMPOLINES_H
#define CONNTRACE_TRAMPOLINES_H

#include "connect.h"
#include "udp.h"

SEC("fexit/tcp_v4_connect")
int trace_connect(const __u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];

	if (sk_is_v4(sk))
		on_connect_return(sk, (void *)ctx[1], (int)ctx[2], (int)ctx[3], HOOK_CONNECT);
	return 0;
}

SEC("fexit/tcp_v6_connect")
int trace_connect6(const __u64 *ctx)
{
	on_connect_return((struct sock *)ctx[0], (void *)ctx[1], (int)ctx[2], (int)ctx[3],
			  HOOK_CONNECT6);
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

#endif
