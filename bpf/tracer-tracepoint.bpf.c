/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tracepoint tracer: BTF tracepoints and iterators, so neither kprobes nor BPF trampolines are
 * needed. Where the kernel has these it traces UDP, too, and connects that fail at once.
 */
#include "hooks.h"
#include "seed.h"
#include "trampolines.h"
#include "walk_table.h"

SEC("tp_btf/inet_sock_set_state")
int trace_set_state(const __u64 *ctx)
{
	on_state((struct sock *)ctx[0], (int)ctx[1], (int)ctx[2]);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
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
