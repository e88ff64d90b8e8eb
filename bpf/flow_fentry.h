/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The UDP programs at BPF trampolines: the same in every tracer whose pointers have types. No
 * tracepoint tells who the peer is and how much it was.
 */
#ifndef CONNTRACE_FLOW_FENTRY_H
#define CONNTRACE_FLOW_FENTRY_H

#include "flow.h"

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
