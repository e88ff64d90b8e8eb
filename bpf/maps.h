/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that travel by fd to user space under the names in event.h; and what concerns the
 * programs alone and lives as long as they do. What a socket is remembered in is in store.h, what
 * a run works with in run.h.
 */
#ifndef CONNTRACE_MAPS_H
#define CONNTRACE_MAPS_H

#include "event.h"
#include "read.h"

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

/* Written by the exporter alone, looked at by the walk; created here so that it outlives an
 * exporter as the ring does. */
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, HITS_SLOTS);
	__type(key, __u32);
	__type(value, struct hits);
} hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, TELEMETRY_ROWS);
	__type(key, __u32);
	__type(value, struct telemetry);
} telemetry SEC(".maps");

/* Next cookie of our own on this CPU, where bpf_get_socket_cookie() is not to be had. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cookies SEC(".maps");

/* Set by the loader before load. */
const volatile struct constants constants SEC(CONSTANTS_SECTION) = {
	.ring_wakeup_bytes = 1u << 18,
	.ring_defer_bytes = 1u << 19,
};

/* This CPU's counters. A CPU beyond the slots shares one, hence the atomic additions everywhere. */
static __always_inline struct counters *counters_get(void)
{
	__u32 slot = bpf_get_smp_processor_id() % COUNTER_SLOTS;

	return bpf_map_lookup_elem(&counters, &slot);
}

#define COUNT(slot, name) ((void)__sync_fetch_and_add(&(slot)->name, 1))

/*
 * Note that a helper or map failed; err is 0 or negative, as they return it. An int: before
 * Linux 6.4 a map's own function is called for the helper, and sets no more than the lower half of
 * the long.
 */
static __always_inline void telemetry_note(__u32 row, int err)
{
	struct telemetry *telemetry_row = bpf_map_lookup_elem(&telemetry, &row);
	__u64 number = -(__u64)(long)err;

	if (number >= TELEMETRY_ERRNOS)
		number = TELEMETRY_ERRNOS - 1;
	if (telemetry_row)
		(void)__sync_fetch_and_add(&telemetry_row->count[number], 1);
}

static __always_inline const struct settings_slot *settings_get(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all ? &all->slots[all->active & 1] : NULL;
}

/*
 * Whether this tracer acts on what a hook brings. twice_is_noticed: it may although another acts,
 * too, as long as one takes over from the other.
 */
static __always_inline bool is_in_charge(bool twice_is_noticed)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all &&
	       (all->generation == constants.generation || (twice_is_noticed && all->takeover));
}

/* settings.takeover */
static __always_inline __u32 takeover_get(void)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all ? all->takeover : 0;
}

/* The walk's numbers go on when another tracer takes over. One walk at a time. */
static __always_inline __u64 walk_number(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	return all ? all->walk_seq++ : 0;
}

/* The last one was not used. */
static __always_inline void walk_number_return(void)
{
	__u32 zero = 0;
	struct settings *all = bpf_map_lookup_elem(&settings, &zero);

	if (all)
		all->walk_seq--;
}

#endif
