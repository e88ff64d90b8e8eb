/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bpf/event.h"
#include "cli/doctor.h"
#include "common/privs.h"

void doctor_find(struct doctor_findings *findings, enum doctor_verdict weight, const char *remedy,
		 const char *format, ...)
{
	struct doctor_finding *finding = &findings->list[findings->count];
	va_list args;

	if (findings->count == DOCTOR_FINDINGS_MAX)
		return;
	findings->count++;
	finding->weight = weight;
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(finding->what, sizeof(finding->what), format, args);
	va_end(args);
}

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
	static const char *const names[] = {
		[DOCTOR_WELL] = "ok",
		[DOCTOR_DEGRADED] = "degraded",
		[DOCTOR_CANNOT] = "cannot_run",
	};

	return names[verdict];
}

/* --- the tracers --- */

const char *doctor_plan_result(enum plan_result result)
{
	static const char *const names[] = {
		[PLAN_OK] = "ok",
		[PLAN_DEGRADED] = "degraded",
		[PLAN_NOT_SUPPORTED] = "not_supported",
		[PLAN_HOOK_MISSING] = "hook_missing",
	};

	return names[result];
}

const char *doctor_plan_why(const char *why)
{
	static const char said[] = "not supported: ";

	return strncmp(why, said, sizeof(said) - 1) == 0 ? why + sizeof(said) - 1 : why;
}

static bool runs(enum plan_result result)
{
	return result == PLAN_OK || result == PLAN_DEGRADED;
}

/* As the loader goes through them: loader/ladder.c, bring_up(). */
static void plan_tracers(struct doctor *doctor)
{
	enum config_instance instance = doctor->instance.type;
	bool by_name = doctor->wanted != TRACER_AUTO;
	struct plan_order order;

	for (int i = TRACER_AUTO + 1; i < TRACER_COUNT; i++) {
		struct doctor_tracer *tracer = &doctor->tracers[i];

		*tracer = (struct doctor_tracer){.order = 0};
		tracer->result = plan_make(&tracer->plan, (enum config_tracer)i, by_name, instance,
					   &doctor->features);
		tracer->by_name = plan_make(&tracer->named, (enum config_tracer)i, true, instance,
					    &doctor->features);
	}
	plan_order(&order, doctor->wanted, instance);
	doctor->chosen = TRACER_AUTO;
	for (uint32_t i = 0; i < order.count; i++) {
		struct doctor_tracer *tracer = &doctor->tracers[order.tracers[i]];

		tracer->order = i + 1;
		if (doctor->chosen == TRACER_AUTO && !doctor->btf.err && runs(tracer->result))
			doctor->chosen = order.tracers[i];
	}
}

/* The tracer that would run if none were asked for by name; TRACER_AUTO = none. */
static enum config_tracer without_a_name(const struct doctor *doctor)
{
	struct plan_order order;
	struct plan plan;

	plan_order(&order, TRACER_AUTO, doctor->instance.type);
	for (uint32_t i = 0; i < order.count; i++)
		if (runs(plan_make(&plan, order.tracers[i], false, doctor->instance.type,
				   &doctor->features)))
			return order.tracers[i];
	return TRACER_AUTO;
}

static const char *remedy_for_none(const struct doctor *doctor, char *room, size_t cap)
{
	const int32_t *of = doctor->features.of;
	enum config_tracer other = without_a_name(doctor);

	if (doctor->wanted != TRACER_AUTO && other != TRACER_AUTO) {
		snprintf(room, cap, "set tracer to auto: %s can run here", config_tracers[other]);
		return room;
	}
	/* The limit does not count any more on a kernel that has this, 5.11. */
	if (of[FEATURE_try_ring] == EPERM && !of[FEATURE_socket_storage] &&
	    doctor->self.memlock_bytes != UINT64_MAX)
		return "start conntraced as root or with LimitMEMLOCK=infinity";
	if (of[FEATURE_try_ring] == EPERM)
		return "let the container's seccomp profile allow bpf(2)";
	if (!of[FEATURE_kernel_btf])
		return "run a kernel with CONFIG_DEBUG_INFO_BTF=y, with /sys mounted";
	if (of[FEATURE_lockdown] == 2)
		return "boot with lockdown=integrity";
	if (of[FEATURE_try_perf] > 0)
		return "sysctl kernel.perf_event_paranoid=2";
	return "run a kernel with CONFIG_BPF_EVENTS=y, Linux 5.10 or newer";
}

static bool is_refused_by_namespace(const struct doctor *doctor)
{
	return !doctor->kernel.initial_user_namespace && doctor->features.of[FEATURE_try_ring] != 0;
}

/* "fentry: not on this instance: ...; tracepoint: ...", of those that were tried, in their order.
 */
static void list_whys(const struct doctor *doctor, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t order = 1; order < TRACER_COUNT; order++)
		for (int i = TRACER_AUTO + 1; i < TRACER_COUNT && at < cap; i++)
			if (doctor->tracers[i].order == order)
				at += (size_t)snprintf(
					out + at, cap - at, "%s%s: %s", at ? "; " : "",
					config_tracers[i],
					doctor_plan_why(doctor->tracers[i].plan.why));
}

static void judge_tracers(struct doctor *doctor)
{
	char room[DOCTOR_TEXT_MAX], whys[DOCTOR_TEXT_MAX];
	const char *who =
		doctor->wanted == TRACER_AUTO ? "no tracer can" : "what is asked for can't";

	/* Of the last two is told elsewhere. */
	if (doctor->chosen != TRACER_AUTO || doctor->btf.err || is_refused_by_namespace(doctor))
		return;
	list_whys(doctor, whys, sizeof(whys));
	doctor_find(&doctor->problems, DOCTOR_CANNOT, remedy_for_none(doctor, room, sizeof(room)),
		    "%s run here: %s", who, whys);
}

/* --- kernel, BTF, privileges, memory --- */

static void judge_kernel(struct doctor *doctor)
{
	const struct doctor_kernel *kernel = &doctor->kernel;
	struct doctor_findings *problems = &doctor->problems;

	if (!kernel->has_cap_bpf)
		doctor_find(problems, DOCTOR_CANNOT, "run Linux 5.10 or newer",
			    "this kernel does not know the capability cap_bpf");
	if (is_refused_by_namespace(doctor))
		doctor_find(problems, DOCTOR_CANNOT,
			    "run conntraced in the initial user namespace, not in a rootless "
			    "container",
			    "in a user namespace of its own no capability counts for bpf(2)");
	if (kernel->seccomp)
		doctor_find(problems, DOCTOR_CANNOT, "run a kernel with CONFIG_SECCOMP_FILTER=y",
			    "seccomp filters can't be had: %s", strerror(-kernel->seccomp));
	if (kernel->landlock_abi < 0)
		doctor_find(problems, DOCTOR_CANNOT,
			    "let the container's seccomp profile allow landlock_create_ruleset(2)",
			    "Landlock can't be asked: %s", strerror(-kernel->landlock_abi));
	if (kernel->landlock_abi == 0)
		doctor_find(problems, DOCTOR_DEGRADED,
			    "run Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK=y and landlock "
			    "among lsm= of its command line",
			    "this kernel has no Landlock: the processes close themselves in by "
			    "seccomp alone");
}

static void judge_privileges(struct doctor *doctor)
{
	uint64_t missing = PRIVS_LOADER & ~doctor->self.bounding;
	char names[64];

	privs_caps_text(missing, names, sizeof(names));
	if (missing && doctor->kernel.has_cap_bpf)
		doctor_find(&doctor->problems, DOCTOR_CANNOT,
			    "container: add the capabilities BPF and PERFMON; service: let "
			    "CapabilityBoundingSet= have CAP_BPF and CAP_PERFMON",
			    "started from here no program can have %s: not in the bounding set",
			    names);
	if (doctor->self.init_no_new_privs)
		doctor_find(&doctor->problems, DOCTOR_CANNOT,
			    "container: without no-new-privileges; Kubernetes: "
			    "allowPrivilegeEscalation: true",
			    "process 1 has no_new_privs, and so has all that it starts: file "
			    "capabilities have no effect");
	if (doctor->self.root && !doctor->user.known)
		doctor_find(&doctor->problems, DOCTOR_CANNOT,
			    "useradd --system conntrace, or name one by conntraced --user",
			    "there is no user conntrace or nobody for conntraced to become");
}

/* The loader's sentences end with the remedy: "no BTF: ...: run a kernel with ...". */
static void judge_btf(struct doctor *doctor)
{
	const char *cut = NULL;
	int len;

	if (!doctor->btf.err)
		return;
	for (const char *at = strstr(doctor->btf.what, ": "); at; at = strstr(at + 1, ": "))
		cut = at;
	if (!cut || (doctor->btf.err != -ENOENT && doctor->btf.err != -EPERM)) {
		doctor_find(&doctor->problems, DOCTOR_CANNOT,
			    "run a kernel with CONFIG_DEBUG_INFO_BTF=y, with /sys mounted", "%s",
			    doctor->btf.what);
		return;
	}
	len = (int)(cut - doctor->btf.what);
	doctor_find(&doctor->problems, DOCTOR_CANNOT, cut + 2, "%.*s", len, doctor->btf.what);
}

static void judge_nat(struct doctor *doctor)
{
	if (!doctor->nat)
		return;
	if (!(doctor->self.bounding & PRIVS_NAT))
		doctor_find(&doctor->problems, DOCTOR_DEGRADED,
			    "container: add the capability NET_ADMIN; service: let "
			    "CapabilityBoundingSet= have CAP_NET_ADMIN",
			    "started from here no program can have cap_net_admin, which nat needs: "
			    "not in the bounding set");
	if (!doctor->kernel.conntrack)
		doctor_find(&doctor->problems, DOCTOR_DEGRADED,
			    "modprobe nf_conntrack, if connections are to be tracked; else leave "
			    "nat off",
			    "connections are not tracked in this network namespace: of none is it "
			    "known how it is translated");
}

static void judge_memory(struct doctor *doctor)
{
	const struct doctor_memory *memory = &doctor->memory;

	if (memory->available_bytes && memory->available_bytes < memory->budget_bytes)
		doctor_find(&doctor->problems, DOCTOR_DEGRADED, "set memory_budget lower",
			    "%llu KiB of memory are available, and the default memory_budget "
			    "is %llu KiB",
			    (unsigned long long)(memory->available_bytes >> 10),
			    (unsigned long long)(memory->budget_bytes >> 10));
}

/* What nobody could try, and is known to go wrong often. */
static void judge_paranoid(struct doctor *doctor)
{
	const int32_t *of = doctor->features.of;

	if (doctor->chosen == TRACER_KPROBE && !doctor->self.tried && !of[FEATURE_kprobe_multi] &&
	    of[FEATURE_perf_event_paranoid] > 2)
		doctor_find(&doctor->problems, DOCTOR_WELL, "sysctl kernel.perf_event_paranoid=2",
			    "kernel.perf_event_paranoid is %d: kprobes will probably be refused",
			    of[FEATURE_perf_event_paranoid]);
}

/* --- what is lost --- */

static bool has_program(const struct tracer_type *type, const char *program)
{
	for (uint32_t i = 0; i < type->probe_count; i++)
		if (strcmp(type->probes[i].program, program) == 0)
			return true;
	return false;
}

static void lose_probes(struct doctor *doctor, const struct tracer_type *type)
{
	const struct plan *plan = &doctor->tracers[doctor->chosen].plan;

	for (uint32_t i = 0; i < type->probe_count; i++)
		if (plan->probes[i] == PROBE_MISSING && plan_has_part(plan, type->probes[i].part))
			doctor_find(&doctor->losses, DOCTOR_DEGRADED, "", "no %s: %s (%s)",
				    type->probes[i].hook, type->probes[i].without,
				    plan->off_why[i]);
}

/* A tracer that does not lack it, if it is known that it can run. */
static const char *instead(const struct doctor *doctor, bool (*lacks)(const struct plan *plan))
{
	static const struct {
		enum config_tracer tracer;
		const char *remedy;
	} others[] = {{TRACER_FENTRY, "set tracer: fentry"}, {TRACER_KPROBE, "set tracer: kprobe"}};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct doctor_tracer *other = &doctor->tracers[others[i].tracer];

		if (doctor->self.tried && runs(other->by_name) && !lacks(&other->named))
			return others[i].remedy;
	}
	return "";
}

static bool lacks_accept(const struct plan *plan)
{
	return !has_program(tracer_type(plan->tracer), PROGRAM_ACCEPT);
}

static bool lacks_udp(const struct plan *plan)
{
	return !plan_has_part(plan, PART_UDP);
}

static bool lacks_connect(const struct plan *plan)
{
	return !plan_has_part(plan, PART_CONNECT);
}

/* What the tracer never has. */
static void lose_accept(struct doctor *doctor)
{
	if (lacks_accept(&doctor->tracers[doctor->chosen].plan))
		doctor_find(&doctor->losses, DOCTOR_WELL, instead(doctor, lacks_accept),
			    "an accepted connection belongs to its listener until it closes");
}

static const char *why_no_part(const struct plan *plan, enum probe_part part)
{
	const struct tracer_type *type = tracer_type(plan->tracer);
	uint32_t i = 0;

	while (i + 1 < type->probe_count && type->probes[i].part != part)
		i++;
	return plan->off_why[i];
}

/* What this kernel keeps from it as a whole. */
static void lose_parts(struct doctor *doctor)
{
	static const struct {
		enum probe_part part;
		bool (*lacks)(const struct plan *plan);
		const char *what;
	} parts[] = {{PART_UDP, lacks_udp, "no UDP flow is recorded"},
		     {PART_CONNECT, lacks_connect, "no connect that fails at once is recorded"}};
	const struct plan *plan = &doctor->tracers[doctor->chosen].plan;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].lacks(plan))
			doctor_find(&doctor->losses, DOCTOR_DEGRADED,
				    instead(doctor, parts[i].lacks), "%s: %s", parts[i].what,
				    why_no_part(plan, parts[i].part));
}

static void judge_losses(struct doctor *doctor)
{
	const struct tracer_type *type;

	if (doctor->chosen == TRACER_AUTO)
		return;
	type = tracer_type(doctor->chosen);
	lose_probes(doctor, type);
	lose_accept(doctor);
	lose_parts(doctor);
	if (plan_is_fargate(doctor->instance.type))
		doctor_find(&doctor->losses, DOCTOR_WELL, "",
			    "connections of processes outside this pid namespace are left out");
}

/* --- the verdict --- */

static const struct doctor_finding *heaviest(const struct doctor *doctor)
{
	static const struct doctor_finding nothing = {.weight = DOCTOR_WELL};
	const struct doctor_finding *found = &nothing;

	for (uint32_t i = 0; i < doctor->problems.count; i++)
		if (doctor->problems.list[i].weight > found->weight)
			found = &doctor->problems.list[i];
	for (uint32_t i = 0; i < doctor->losses.count; i++)
		if (doctor->losses.list[i].weight > found->weight)
			found = &doctor->losses.list[i];
	return found;
}

/* Stable: those of one weight stay in their order. */
static void heaviest_first(struct doctor_findings *findings)
{
	static struct doctor_findings sorted;

	sorted.count = 0;
	for (int weight = DOCTOR_CANNOT; weight >= DOCTOR_WELL; weight--)
		for (uint32_t i = 0; i < findings->count; i++)
			if (findings->list[i].weight == (enum doctor_verdict)weight)
				sorted.list[sorted.count++] = findings->list[i];
	*findings = sorted;
}

static void conclude(struct doctor *doctor)
{
	const struct doctor_finding *reason = heaviest(doctor);
	const char *name = config_tracers[doctor->chosen];
	const char *assumed = doctor->assumed ? ", as far as can be told without trying" : "";

	doctor->verdict = reason->weight;
	if (doctor->verdict == DOCTOR_CANNOT)
		snprintf(doctor->conclusion, sizeof(doctor->conclusion), "cannot run: %.900s",
			 reason->what);
	else if (doctor->verdict == DOCTOR_DEGRADED)
		snprintf(doctor->conclusion, sizeof(doctor->conclusion),
			 "degraded: %s would run%s; %.900s", name, assumed, reason->what);
	else
		snprintf(doctor->conclusion, sizeof(doctor->conclusion), "would run: %s%s", name,
			 assumed);
}

void doctor_judge(struct doctor *doctor)
{
	doctor->assumed = !doctor->self.tried;
	doctor->problems.count = 0;
	doctor->losses.count = 0;
	plan_tracers(doctor);
	judge_kernel(doctor);
	judge_privileges(doctor);
	doctor_judge_files(doctor);
	judge_btf(doctor);
	judge_tracers(doctor);
	judge_paranoid(doctor);
	judge_nat(doctor);
	judge_memory(doctor);
	judge_losses(doctor);
	heaviest_first(&doctor->problems);
	conclude(doctor);
}
