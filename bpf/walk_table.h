/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The walk where connections are remembered in the table: the same program in every tracer. */
#ifndef CONNTRACE_WALK_TABLE_H
#define CONNTRACE_WALK_TABLE_H

#include "snapshot.h"

SEC("iter/bpf_map_elem")
int walk_table(struct bpf_iter__bpf_map_elem *ctx)
{
	const __u64 *key = ctx->key;
	struct sock *sk = key ? (struct sock *)*key : NULL;

	/* The entry can have become another socket's since: it is looked up again. */
	return snapshot_visit(false, ctx->meta, sk, sk ? table_get(sk) : NULL);
}

#endif
