/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One run of a program that writes records: the counters it counts in, the report it fills, and the
 * sequence that numbers its records.
 *
 * The report lies in a map and not on the stack because the verifier knows what is on the stack: it
 * would go through the writing of a record once for each way that leads there.
 *
 * No atomic operation is needed for the numbers. A program can't be interrupted on its CPU by
 * itself where the kernel skips the second run (kprobes always, fentry since 5.12, BTF tracepoints
 * since 6.1 or so). Before, it can, but never by being scheduled away; so the runs under way are a
 * stack, and each level has a report and numbers of its own.
 */
#ifndef CONNTRACE_RUN_H
#define CONNTRACE_RUN_H

#include "maps.h"
#include "store.h"

/* Addresses and ports as in struct event. */
struct tuple {
	__u32 saddr[4];
	__u32 daddr[4];
	__u16 sport;
	__u16 dport;
	__u8 family;
	__u8 pad[3];
};

/* What the filters look at: bpf/filter.h. */
struct subject {
	struct tuple tuple;
	__u64 cookie;
	__u64 cgroup_id; /* 0 = that of the cgroup which is given beside it */
	__u32 cgroups;   /* a bit for each filter whose cgroup it is in */
	__u8 families;   /* one of FAMILY_ */
	__u8 protocols;  /* one of PROTOCOL_ */
	__u8 type;       /* enum event_type */
	__u8 failed;     /* 1: no sample leaves it out */
};

/* What is to be written about a connection, apart from the socket itself. */
struct report {
	__u64 now_ns;
	__u64 seq; /* the next number */
	__u32 cpu; /* event.cpu: which sequence that is */
	__u8 type; /* enum event_type */
	__u8 state;
	__u8 flags; /* event.flags */
	__u8 pad;
	struct conn conn; /* what is remembered of it; zero if nothing is */
	struct subject subject;
	__u64 error; /* event.error */
};

/* The programs that write records of connections; each has sequences of its own. */
enum hook { HOOK_STATE, HOOK_DESTROY, HOOK_CONNECT, HOOK_CONNECT6, HOOK_COUNT };

#define LEVELS 2u /* a process, and the softirq that interrupts it */

struct work {
	struct report level[LEVELS];
	__u64 depth; /* runs of the program that are under way on this CPU */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HOOK_COUNT);
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

struct run {
	struct counters *count;
	struct work *work;
	struct report *report;
};

/* What distinguishes the hook's sequences. */
static __always_inline __u32 sequence_of(__u32 hook)
{
	if (hook == HOOK_DESTROY)
		return EVENT_CPU_LATE;
	if (hook == HOOK_CONNECT)
		return EVENT_CPU_CONNECT;
	return hook == HOOK_CONNECT6 ? EVENT_CPU_CONNECT6 : 0;
}

static __always_inline bool run_begin(struct run *run, __u32 hook)
{
	struct work *work = bpf_map_lookup_elem(&works, &hook);
	__u32 level;

	run->count = counters_get();
	if (!run->count || !work)
		return false;
	run->work = work;
	level = work->depth++ & (LEVELS - 1);
	run->report = &work->level[level];
	run->report->cpu =
		bpf_get_smp_processor_id() | level * EVENT_CPU_NESTED | sequence_of(hook);
	return true;
}

static __always_inline void run_end(struct run *run)
{
	run->work->depth--;
}

/* Fill in what is to be reported; conn may be NULL. */
static __always_inline void report_fill(struct report *report, __u8 type, __u8 state,
					const struct conn *conn)
{
	report->now_ns = bpf_ktime_get_ns();
	report->type = type;
	report->state = state;
	report->flags = type == EVENT_LISTENER ? 0 : EVENT_F_PARTIAL;
	if (conn && conn->flags & CONN_SEEDED)
		report->flags = EVENT_F_PARTIAL | EVENT_F_SEEDED;
	else if (conn && conn->flags & CONN_OPENED)
		report->flags = 0;
	if (conn)
		report->conn = *conn;
	else
		__builtin_memset(&report->conn, 0, sizeof(report->conn));
}

#endif
