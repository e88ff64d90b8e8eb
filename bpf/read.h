/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading kernel memory. Where the verifier knows a pointer's type (BTF tracepoints, fentry,
 * iterators over sockets) a field is loaded directly, which needs no helper and is allowed under
 * lockdown=confidentiality, too. Where it does not (kprobes, addresses out of a map) a helper
 * copies it.
 */
#ifndef CONNTRACE_READ_H
#define CONNTRACE_READ_H

#include "kernel.h"

/* A tracer whose programs get untyped pointers says so before its first include. */
#ifndef TYPED_POINTERS
#define TYPED_POINTERS true
#endif

/*
 * The member of a kernel struct; typed must be constant. What could not be copied is 0, and the
 * helper's errno gets into failed (an int): all of them together, since a branch for each would
 * make the verifier look at everything that follows twice.
 */
#define READ(typed, failed, pointer, member) \
	({ \
		__typeof__((pointer)->member) value_; \
		if (typed) { \
			value_ = (pointer)->member; \
		} else { \
			(failed) |= (int)bpf_core_read( \
				(void *)&value_, \
				sizeof(value_), /* NOLINT(bugprone-sizeof-expression) */ \
				&(pointer)->member); \
		} \
		value_; \
	})

#endif
