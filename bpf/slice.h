/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A walk is cut into slices by the read(2) that makes the kernel go on with it: each visit writes
 * one byte, and the read ends when it has all its bytes (bpf_seq_read()). So it visits no more than
 * it asks for, and is told how many it has visited. What is to be visited again writes nothing.
 */
#ifndef CONNTRACE_SLICE_H
#define CONNTRACE_SLICE_H

#include "kernel.h"

static __always_inline void slice_count(struct bpf_iter_meta *meta)
{
	const __u8 visit = 0;

	(void)bpf_seq_write(meta->seq, &visit, sizeof(visit));
}

#endif
