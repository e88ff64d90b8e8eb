/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kprobe tracer, for kernels without BTF tracepoints or BPF trampolines, or without BTF of
 * their own. The kernel passes registers: nothing has a type, and sockets have no storage.
 */
#define TYPED_POINTERS false
#include "connect.h"
#include "udp.h"
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

/*
 * Where a function returns its arguments are gone: they are remembered by thread. An entry whose
 * return was missed is overwritten by the thread's next connect, or pushed out in the end.
 */
#define CONNECTS_MAX 1024

struct connecting {
	struct sock *sk;
	const void *addr;
	int len;
	__u32 hook;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNECTS_MAX);
	__type(key, __u64);
	__type(value, struct connecting);
} connects SEC(".maps");

static __always_inline void on_connect(struct pt_regs *ctx, __u32 hook)
{
	struct connecting entered = {.sk = (struct sock *)PT_REGS_PARM1(ctx),
				     .addr = (void *)PT_REGS_PARM2(ctx),
				     .len = (int)PT_REGS_PARM3(ctx),
				     .hook = hook};
	__u64 thread = bpf_get_current_pid_tgid();
	struct counters *count = counters_get();
	int err;

	if (!count)
		return;
	COUNT(count, missed_connect);
	err = (int)bpf_map_update_elem(&connects, &thread, &entered, BPF_ANY);
	if (err)
		telemetry_note(TELEMETRY_map_connects, err);
}

static __always_inline void on_connected(struct pt_regs *ctx, __u32 hook)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct connecting *entry = bpf_map_lookup_elem(&connects, &thread);
	struct counters *count = counters_get();
	struct connecting entered;

	if (!entry || !count || entry->hook != hook)
		return;
	entered = *entry;
	(void)bpf_map_delete_elem(&connects, &thread);
	(void)__sync_fetch_and_add(&count->missed_connect, -1ull);
	on_connect_return(entered.sk, entered.addr, entered.len, (int)PT_REGS_RC(ctx), hook);
}

SEC("kprobe/tcp_v4_connect")
int trace_enter(struct pt_regs *ctx)
{
	if (sk_is_v4((struct sock *)PT_REGS_PARM1(ctx)))
		on_connect(ctx, HOOK_CONNECT);
	return 0;
}

SEC("kretprobe/tcp_v4_connect")
int trace_connect(struct pt_regs *ctx)
{
	on_connected(ctx, HOOK_CONNECT);
	return 0;
}

SEC("kprobe/tcp_v6_connect")
int trace_enter6(struct pt_regs *ctx)
{
	on_connect(ctx, HOOK_CONNECT6);
	return 0;
}

SEC("kretprobe/tcp_v6_connect")
int trace_connect6(struct pt_regs *ctx)
{
	on_connected(ctx, HOOK_CONNECT6);
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
