/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps. They travel by fd to user space under the names in event.h; sequences and the variables
 * concern the programs alone and live as long as they do.
 */
#ifndef CONNTRACE_MAPS_H
#define CONNTRACE_MAPS_H

#include "event.h"
#include "kernel.h"

#define CONN_OPENED   1u /* counted in opened_*, and not yet in closed */
#define CONN_LISTENER 2u /* a listening socket, or the copy an accepted socket starts with */

/*
 * What is remembered of a socket between its state changes. An accepted socket starts with a copy
 * of its listener's (bpf_sk_storage_clone()): that is where its provisional owner comes from.
 */
struct conn {
	__u64 opened_ns;
	__u64 established_ns;
	__u64 comm[EVENT_COMM_LEN / sizeof(__u64)];
	__u32 pid;
	__u32 uid;
	__u8 owner;
	__u8 direction;
	__u8 flags;
	__u8 pad[5];
};
_Static_assert(sizeof(struct conn) == 48, "conn: size");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct conn);
} connections SEC(".maps");

/* max_entries is replaced by the loader with the configured size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1u << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, COUNTER_SLOTS);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Written by the exporter alone; created here so that it outlives an exporter as the ring does. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ledger);
} ledger SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* Next sequence number: [0] of state changes, [1] of late closes, on this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

/* Set by the loader before load, from the size of the ring. */
const volatile struct constants constants SEC(CONSTANTS_SECTION) = {
	.ring_wakeup_bytes = 1u << 18,
	.ring_defer_bytes = 1u << 19,
};

/* One walk at a time: the loader reads one iterator after the other. */
static __u64 walk_seq;
static __u64 walk_live;

/* This CPU's counters. A CPU beyond the slots shares one, hence the atomic additions everywhere. */
static __always_inline struct counters *counters_get(void)
{
	__u32 slot = bpf_get_smp_processor_id() % COUNTER_SLOTS;

	return bpf_map_lookup_elem(&counters, &slot);
}

#define COUNT(slot, name) ((void)__sync_fetch_and_add(&(slot)->name, 1))

static __always_inline const struct settings_slot *settings_get(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all ? &all->slots[all->active & 1] : NULL;
}

#endif
