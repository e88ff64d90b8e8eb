/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether the settings ask for a record. */
#ifndef CONNTRACE_FILTER_H
#define CONNTRACE_FILTER_H

#include "run.h"

/* A cgroup that deep below the one a filter names is not found to be there. */
#define CGROUP_DEPTH_MAX 32

/* What became of a record. */
enum outcome {
	OUTCOME_SUBMITTED,
	OUTCOME_FILTERED,
	OUTCOME_SAMPLED,
	OUTCOME_LOST,
	OUTCOME_ENDED, /* an update of what has ended meanwhile: there is nothing to say */
};

/* --- cgroups --- */

static __always_inline bool cgroup_is_typed(bool typed)
{
	return typed && bpf_core_field_exists(((struct sock *)NULL)->sk_cgrp_data.cgroup);
}

/* The socket's cgroup, whose type the verifier knows if cgroup_is_typed(); or NULL. */
static __always_inline struct cgroup *cgroup_of(bool typed, int *failed, struct sock *sk)
{
	struct sock_cgroup_data___tagged *tagged = (void *)&sk->sk_cgrp_data;
	__u64 value;

	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup))
		return READ(typed, *failed, sk, sk_cgrp_data.cgroup);
	if (!constants.helper_read)
		return NULL;
	value = READ(false, *failed, tagged, val);
	/* NULL if the lowest bit is set. */
	return (void *)(value & ~3ull & ((value & 1) - 1));
}

static __always_inline __u64 cgroup_id_read(bool typed, int *failed, struct cgroup *cgroup)
{
	struct kernfs_node *kn;

	if (!cgroup)
		return 0;
	kn = READ(typed, *failed, cgroup, kn);
	return kn ? READ(typed, *failed, kn, id) : 0;
}

/*
 * The filters of a settings slot that name the cgroup with this id. Not static, so the verifier
 * looks at it by itself, once. No branches, either: ids are less than 2^63, so only a difference of
 * 0, less one, has the highest bit.
 */
__noinline __u32 cgroup_filters(__u64 id, __u32 active)
{
	__u32 zero = 0;
	const struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	__u64 filters = 0;

	if (!all || !id)
		return 0;
	for (__u32 i = 0; i < FILTERS_MAX; i++) {
		const struct filter_cgroup *of = &all->slots[active & 1].cgroups[i];

		if (i >= all->slots[active & 1].cgroup_count)
			break;
		filters |= (((of->id ^ id) - 1) | ((of->before ^ id) - 1)) >>
			   63 << (of->filter & (FILTERS_MAX - 1));
	}
	return (__u32)filters;
}

/* The filters that name this cgroup or one above it: only the root has no parent. */
static __always_inline __u32 cgroup_filters_up(bool typed, struct cgroup *cgroup, __u32 active)
{
	struct cgroup_subsys_state *css;
	struct kernfs_node *kn;
	__u32 filters = 0;
	int failed = 0;

	for (int depth = 0; depth < CGROUP_DEPTH_MAX; depth++) {
		kn = READ(typed, failed, cgroup, kn);
		filters |= cgroup_filters(READ(typed, failed, kn, id), active);
		css = READ(typed, failed, cgroup, self.parent);
		if (!css)
			break;
		cgroup = READ(typed, failed, css, cgroup);
	}
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
	return filters;
}

static __noinline __u32 cgroup_filters_typed(struct cgroup *cgroup, __u32 active)
{
	return cgroup_filters_up(true, cgroup, active);
}

/* Not static, as above. An address can be given to such a function, a pointer with a type can't. */
__noinline __u32 cgroup_filters_untyped(__u64 cgroup, __u32 active)
{
	return constants.helper_read ? cgroup_filters_up(false, (struct cgroup *)cgroup, active)
				     : 0;
}

/*
 * The same. id: of a cgroup whose address is known and what its id was, but not whether it is still
 * there; else 0.
 */
static __always_inline __u32 cgroup_filters_of(bool typed, struct cgroup *cgroup, __u64 id,
					       __u32 active)
{
	int gone = 0;

	if (!cgroup)
		return 0;
	if (typed)
		return cgroup_filters_typed(cgroup, active);
	if (!constants.helper_read || (id && cgroup_id_read(false, &gone, cgroup) != id))
		return cgroup_filters(id, active);
	return cgroup_filters_untyped((__u64)cgroup, active);
}

/* --- addresses and ports --- */

/* 0 if the address is in the filter's network. */
static __always_inline __u32 address_differs(const __u32 *addr, const struct filter *filter)
{
	__u32 differ = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differ |= (addr[i] & filter->mask[i]) ^ filter->addr[i];
	return differ;
}

/* 1 if the port is outside of the filter's range, else 0. */
static __always_inline __u32 port_differs(__u16 port, const struct filter *filter)
{
	return (((__u32)port - filter->port_low) | ((__u32)filter->port_high - port)) >> 31;
}

/* Without branches: the verifier follows each of them, for each of the filters. */
static __always_inline bool filter_matches(const struct filter *filter,
					   const struct subject *subject, __u32 number)
{
	const struct tuple *tuple = &subject->tuple;
	__u64 differ = (__u64)address_differs(tuple->saddr, filter) *
		       address_differs(tuple->daddr, filter);

	differ |= subject->families & ~filter->families;
	differ |= subject->protocols & ~filter->protocols;
	differ |= filter->by_cgroup & ~(subject->cgroups >> number);
	differ |= port_differs(tuple->sport, filter) & port_differs(tuple->dport, filter);
	return !differ;
}

/* --- the decision --- */

/* Whether a connection is in a sample of one in so many: the same for each of its records. */
static __always_inline bool sample_has(__u64 cookie, __u32 one_in)
{
	/* Cookies count up; mixed as MurmurHash3 ends. */
	cookie ^= cookie >> 33;
	cookie *= 0xff51afd7ed558ccdull;
	cookie ^= cookie >> 33;
	cookie *= 0xc4ceb9fe1a85ec53ull;
	return (cookie >> 32) * one_in >> 32 == 0;
}

static __always_inline void hit(struct hits *hits, __u32 active, __u32 row, __u32 column)
{
	(void)__sync_fetch_and_add(&hits->of[active & 1][row][column & (HITS_COLUMNS - 1)], 1);
}

static __noinline int filters_go_through(const struct settings_slot *slot, __u32 active,
					 const struct subject *subject)
{
	__u32 cpu = bpf_get_smp_processor_id() % HITS_SLOTS;
	struct hits *here = bpf_map_lookup_elem(&hits, &cpu);
	__u32 row = HITS_NONE;

	if (!here)
		return OUTCOME_FILTERED;
	for (__u32 i = 0; i < FILTERS_MAX; i++) {
		if (i >= slot->filter_count)
			break;
		if (filter_matches(&slot->filters[i], subject, i)) {
			row = i;
			break;
		}
	}
	hit(here, active, row, subject->type);
	if (row == HITS_NONE)
		return OUTCOME_SUBMITTED;
	if (slot->filters[row].action != FILTER_INCLUDE)
		return OUTCOME_FILTERED;
	if (!slot->filters[row].sample || subject->failed ||
	    sample_has(subject->cookie, slot->filters[row].sample))
		return OUTCOME_SUBMITTED;
	hit(here, active, row, HITS_SAMPLED);
	return OUTCOME_SAMPLED;
}

/* Returns OUTCOME_SUBMITTED if there is to be a record, else why not. */
static __always_inline int filters_decide(bool typed, struct cgroup *cgroup,
					  struct subject *subject)
{
	__u32 zero = 0;
	const volatile struct settings *all = bpf_map_lookup_elem(&settings, &zero);
	const struct settings_slot *slot;
	__u32 active;

	if (!all)
		return OUTCOME_FILTERED;
	active = all->active & 1;
	slot = (const struct settings_slot *)&all->slots[active];
	subject->families = subject->tuple.family == 4 ? FAMILY_IPV4 : FAMILY_IPV6;
	if (!(slot->families & subject->families))
		return OUTCOME_FILTERED;
	if (!slot->filter_count)
		return OUTCOME_SUBMITTED;
	subject->cgroups = 0;
	if (slot->cgroup_count)
		subject->cgroups = cgroup_filters_of(typed, cgroup, subject->cgroup_id, active);
	return filters_go_through(slot, active, subject);
}

#endif
