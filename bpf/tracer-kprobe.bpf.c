/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kprobe tracer, for kernels without BTF tracepoints or BPF trampolines, or without BTF of
 * their own. The kernel passes registers: nothing has a type, and sockets have no storage.
 */
#define TYPED_POINTERS false
#include "flow.h"
#include "hooks.h"
#include "seed.h"
#include "walk_table.h"

#include <bpf/bpf_tracing.h>

SEC("kprobe/tcp_set_state")
int trace_set_state(struct pt_regs *ctx)
{
	struct sock *sk = (struct sock *)PT_REGS_PARM1(ctx);
	int failed = 0;

	on_state(sk, READ(false, failed, sk, __sk_common.skc_state), (int)PT_REGS_PARM2(ctx));
	return 0;
}

SEC("kprobe/inet_csk_listen_start")
int trace_listen(struct pt_regs *ctx)
{
	on_listen((struct sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kprobe/security_sock_graft")
int trace_accept(struct pt_regs *ctx)
{
	on_accept((struct sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kprobe/tcp_child_process")
int trace_child(struct pt_regs *ctx)
{
	on_child((struct sock *)PT_REGS_PARM1(ctx), (struct sock *)PT_REGS_PARM2(ctx));
	return 0;
}

SEC("kprobe/inet_csk_destroy_sock")
int trace_destroy_sock(struct pt_regs *ctx)
{
	on_destroy((struct sock *)PT_REGS_PARM1(ctx));
	return 0;
}

SEC("kprobe/udp_send_skb")
int trace_udp_send(struct pt_regs *ctx)
{
	on_udp_send((struct sk_buff *)PT_REGS_PARM1(ctx), (struct flowi4 *)PT_REGS_PARM2(ctx), NULL,
		    (struct inet_cork *)PT_REGS_PARM3(ctx), FLOW_SEND);
	return 0;
}

SEC("kprobe/udp_v6_send_skb")
int trace_udp6_send(struct pt_regs *ctx)
{
	on_udp_send((struct sk_buff *)PT_REGS_PARM1(ctx), NULL, (struct flowi6 *)PT_REGS_PARM2(ctx),
		    (struct inet_cork *)PT_REGS_PARM3(ctx), FLOW_SEND6);
	return 0;
}

SEC("kprobe/skb_consume_udp")
int trace_udp_recv(struct pt_regs *ctx)
{
	on_udp_receive((struct sock *)PT_REGS_PARM1(ctx), (struct sk_buff *)PT_REGS_PARM2(ctx),
		       (int)PT_REGS_PARM3(ctx));
	return 0;
}

SEC("kprobe/udp_destroy_sock")
int trace_udp_end(struct pt_regs *ctx)
{
	on_udp_destroy((struct sock *)PT_REGS_PARM1(ctx), FLOW_END);
	return 0;
}

SEC("kprobe/udpv6_destroy_sock")
int trace_udp6_end(struct pt_regs *ctx)
{
	on_udp_destroy((struct sock *)PT_REGS_PARM1(ctx), FLOW_END6);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
