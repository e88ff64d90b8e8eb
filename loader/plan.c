/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool plan_is_fargate(enum config_instance instance)
{
	return instance == INSTANCE_ECS_FARGATE || instance == INSTANCE_EKS_FARGATE;
}

/* For each kind of instance: least privilege and cost first; fentry answers for itself. */
static const struct plan_order everywhere = {
	.tracers = {TRACER_FENTRY, TRACER_TRACEPOINT, TRACER_KPROBE}, .count = 3};
static const struct plan_order fargate = {.tracers = {TRACER_FENTRY, TRACER_TRACEPOINT},
					  .count = 2};

void plan_order(struct plan_order *order, enum config_tracer wanted, enum config_instance instance)
{
	if (wanted != TRACER_AUTO)
		*order = (struct plan_order){.tracers = {wanted}, .count = 1};
	else
		*order = plan_is_fargate(instance) ? fargate : everywhere;
}

/* One thing that a tracer needs: returns what is missing (a constant), NULL if it is there. */
typedef const char *(*need)(const struct features *features);

static int32_t get(const struct features *features, enum feature feature)
{
	return features->of[feature];
}

static bool refused(const struct features *features, enum feature trial)
{
	return get(features, trial) > 0;
}

static const char *need_ring(const struct features *features)
{
	if (get(features, FEATURE_try_ring) == EPERM)
		return "no BPF map may be made: RLIMIT_MEMLOCK is too small for a kernel before "
		       "5.11, or a container's seccomp profile refuses bpf(2)";
	return refused(features, FEATURE_try_ring)
		       ? "the kernel has no BPF ring buffer: it is older than Linux 5.8"
		       : NULL;
}

static const char *need_kernel_btf(const struct features *features)
{
	return get(features, FEATURE_kernel_btf)
		       ? NULL
		       : "it attaches by the kernel's own BTF, which can't be read";
}

static const char *need_tracepoint(const struct features *features)
{
	return refused(features, FEATURE_try_tracepoint)
		       ? "the kernel refuses programs for BTF tracepoints"
		       : NULL;
}

static const char *need_fentry(const struct features *features)
{
	return refused(features, FEATURE_try_fentry)
		       ? "the kernel refuses fentry programs: it has no BPF trampolines, or its "
			 "security policy forbids them"
		       : NULL;
}

static const char *need_read(const struct features *features)
{
	if (!refused(features, FEATURE_try_read))
		return NULL;
	if (get(features, FEATURE_lockdown) == 2)
		return "lockdown=confidentiality forbids programs to read kernel memory: boot "
		       "with lockdown=integrity, or use the tracepoint tracer";
	return "the kernel refuses programs that read kernel memory";
}

static const char *need_kprobes(const struct features *features)
{
	if (refused(features, FEATURE_try_kprobe))
		return "the kernel refuses programs for kprobes";
	if (!get(features, FEATURE_kprobe_pmu) && !get(features, FEATURE_kprobe_multi))
		return "the kernel has no kprobes (CONFIG_KPROBE_EVENTS)";
	return NULL;
}

/* The most that kernel.perf_event_paranoid may be for who has CAP_PERFMON; Debian's 3 is more. */
#define PARANOID_MOST 2

static const char *need_perf_event(const struct features *features)
{
	if (get(features, FEATURE_kprobe_multi) || !refused(features, FEATURE_try_perf))
		return NULL;
	if (get(features, FEATURE_perf_event_paranoid) <= PARANOID_MOST)
		return "perf_event_open() is refused by a seccomp filter or a security module, "
		       "or the kernel does not have it";
	return "kernel.perf_event_paranoid refuses perf_event_open() to all but CAP_SYS_ADMIN: "
	       "sysctl kernel.perf_event_paranoid=2";
}

#define NEEDS_MAX 6

static const need needs[TRACER_COUNT][NEEDS_MAX] = {
	[TRACER_FENTRY] = {need_ring, need_kernel_btf, need_fentry},
	[TRACER_TRACEPOINT] = {need_ring, need_kernel_btf, need_tracepoint},
	[TRACER_KPROBE] = {need_ring, need_kprobes, need_read, need_perf_event},
};

static enum plan_kprobe choose_kprobe(const struct features *features)
{
	if (get(features, FEATURE_kprobe_multi))
		return KPROBE_MULTI;
	return get(features, FEATURE_perf_link) ? KPROBE_LINK : KPROBE_PERF;
}

static enum probe_store choose_store(enum config_tracer tracer, const struct features *features)
{
	if (tracer == TRACER_KPROBE || !get(features, FEATURE_socket_storage))
		return STORE_TABLE;
	return STORE_SOCKET;
}

bool plan_has_part(const struct plan *plan, enum probe_part part)
{
	const struct tracer_type *type = tracer_type(plan->tracer);

	for (uint32_t i = 0; i < type->probe_count; i++)
		if (type->probes[i].part == part && plan_has(plan, i))
			return true;
	return false;
}

bool plan_has(const struct plan *plan, uint32_t probe)
{
	return plan->probes[probe] == PROBE_PLANNED;
}

/* What stands against the program on this kernel; NULL if nothing does. */
static const char *missing_reason(const struct probe *probe, enum probe_store store,
				  const struct features *features)
{
	if (!get(features, FEATURE_kernel_btf) && !get(features, FEATURE_kallsyms))
		return "neither BTF nor /proc/kallsyms can be read";
	if (!get(features, probe->present))
		return "the kernel does not have it";
	if ((probe->kind == PROBE_WALK || probe->kind == PROBE_SEED) &&
	    !get(features, FEATURE_kernel_btf))
		return "iterators attach by the kernel's own BTF, which can't be read";
	if (probe->kind == PROBE_WALK && store == STORE_TABLE &&
	    refused(features, FEATURE_try_read))
		return "the kernel refuses programs that read kernel memory";
	return NULL;
}

static bool takes_trampolines(const struct tracer_type *type)
{
	for (uint32_t i = 0; i < type->probe_count; i++)
		if (type->probes[i].kind == PROBE_FENTRY || type->probes[i].kind == PROBE_FEXIT)
			return true;
	return false;
}

/* What stands against a part as a whole. */
static const char *optional_reason(const struct tracer_type *type, enum probe_part part,
				   const struct features *features)
{
	if (takes_trampolines(type) && refused(features, FEATURE_try_fentry))
		return "the kernel refuses fentry programs";
	/* Flows that nobody ends would fill their table. */
	if (part == PART_UDP &&
	    (!get(features, FEATURE_kernel_btf) || !get(features, FEATURE_iter_map)))
		return "UDP flows are ended by an iterator, which the kernel does not have";
	if (refused(features, FEATURE_try_read))
		return "the kernel refuses programs that read kernel memory";
	return NULL;
}

/* Names in why what is missing; several are separated by semicolons. */
static void degrade(struct plan *plan, const struct probe *probe)
{
	size_t at = strlen(plan->why);

	snprintf(plan->why + at, sizeof(plan->why) - at, "%sno %s: %s", at ? "; " : "", probe->hook,
		 probe->without);
}

static void degrade_part(struct plan *plan, enum probe_part part, const char *reason)
{
	static const char *const lost[PART_COUNT] = {
		[PART_UDP] = "UDP is not traced",
		[PART_CONNECT] = "connects that fail at once are not recorded",
	};
	size_t at = strlen(plan->why);

	snprintf(plan->why + at, sizeof(plan->why) - at, "%s%s: %s", at ? "; " : "", lost[part],
		 reason);
}

static enum plan_result plan_probes(struct plan *plan, const struct tracer_type *type,
				    const struct features *features)
{
	const char *without[PART_COUNT] = {NULL};
	enum plan_result result = PLAN_OK;
	bool told[PART_COUNT] = {false};

	for (int part = PART_TCP + 1; part < PART_COUNT; part++)
		without[part] = optional_reason(type, (enum probe_part)part, features);
	for (uint32_t i = 0; i < type->probe_count; i++) {
		const struct probe *probe = &type->probes[i];
		const char *part = without[probe->part];

		if (probe->store != STORE_ANY && probe->store != plan->store) {
			plan->probes[i] = PROBE_OFF;
			plan->off_why[i] = "connections are remembered in the other place";
			continue;
		}
		plan->off_why[i] = part ? part : missing_reason(probe, plan->store, features);
		plan->probes[i] = plan->off_why[i] ? PROBE_MISSING : PROBE_PLANNED;
		if (!plan->off_why[i])
			continue;
		if (probe->required) {
			snprintf(plan->why, sizeof(plan->why), "required: %s: %s", probe->hook,
				 plan->off_why[i]);
			return PLAN_HOOK_MISSING;
		}
		result = PLAN_DEGRADED;
		if (!part)
			degrade(plan, probe);
		else if (!told[probe->part])
			degrade_part(plan, probe->part, part);
		told[probe->part] = true;
	}
	return result;
}

enum plan_result plan_make(struct plan *plan, enum config_tracer tracer, bool by_name,
			   enum config_instance instance, const struct features *features)
{
	const char *missing = NULL;

	memset(plan, 0, sizeof(*plan));
	plan->tracer = tracer;
	plan->store = choose_store(tracer, features);
	plan->kprobe = choose_kprobe(features);
	if (tracer == TRACER_FENTRY && !by_name && !plan_is_fargate(instance))
		missing = "not on this instance: it is for Fargate, or to be asked for by name";
	for (int i = 0; i < NEEDS_MAX && needs[tracer][i] && !missing; i++)
		missing = needs[tracer][i](features);
	if (missing) {
		snprintf(plan->why, sizeof(plan->why), "not supported: %s", missing);
		return PLAN_NOT_SUPPORTED;
	}
	return plan_probes(plan, tracer_type(tracer), features);
}
