/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fentry tracer: BPF trampolines at the entry of kernel functions whose arguments don't change.
 */
#include "hooks.h"
#include "seed.h"
#include "trampolines.h"
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

SEC("iter/bpf_sk_storage_map")
int walk_connections(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return snapshot_visit(true, ctx->meta, ctx->sk, ctx->value);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
