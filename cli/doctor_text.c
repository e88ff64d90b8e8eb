/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "common/log.h"
#include "common/privs.h"

/* Text of others, escaped; lives until the next call. */
static const char *safe(const char *text)
{
	static char out[4 * 2 * DOCTOR_TEXT_MAX + 1];

	log_escape(text, out, sizeof(out));
	return out;
}

static void print_number(const char *what, int32_t number)
{
	if (number == FEATURE_UNKNOWN)
		printf("  %-26s not known\n", what);
	else
		printf("  %-26s %d\n", what, number);
}

static void print_kernel(const struct doctor *doctor)
{
	static const char *const levels[] = {"none", "integrity", "confidentiality"};
	const struct doctor_kernel *kernel = &doctor->kernel;
	const int32_t *of = doctor->features.of;
	int32_t level = of[FEATURE_lockdown];

	printf("\nkernel\n");
	if (doctor->btf.err)
		printf("  %-26s none\n", "BTF");
	else
		printf("  %-26s %s: %s\n", "BTF", btf_source_name(doctor->btf.source),
		       safe(doctor->btf.file));
	printf("  %-26s %s\n", "lockdown", level >= 0 ? levels[level] : "not known");
	print_number("perf_event_paranoid", of[FEATURE_perf_event_paranoid]);
	print_number("unprivileged_bpf_disabled", of[FEATURE_unprivileged_bpf_disabled]);
	if (kernel->landlock_abi > 0)
		printf("  %-26s ABI %d\n", "Landlock", kernel->landlock_abi);
	else
		printf("  %-26s %s\n", "Landlock",
		       kernel->landlock_abi ? strerror(-kernel->landlock_abi) : "none");
	printf("  %-26s %s\n", "connection tracking", kernel->conntrack ? "yes" : "no");
	printf("  %-26s %s\n", "seccomp", kernel->seccomp ? strerror(-kernel->seccomp) : "yes");
}

/* What the kernel lets the loader do, as it said when asked to. */
static void print_trials(const struct doctor *doctor)
{
	static const char named[] = "trial: ";

	printf("\ntrials\n");
	if (!doctor->self.tried)
		printf("  not tried: needs cap_bpf and cap_perfmon%s\n",
		       doctor->self.root ? ", which root does not have here" : " (run as root)");
	for (int i = FEATURE_try_ring; i < FEATURE_COUNT; i++) {
		const char *what = feature_meaning((enum feature)i);
		int32_t err = doctor->features.of[i];

		if (strncmp(what, named, sizeof(named) - 1) == 0)
			what += sizeof(named) - 1;
		printf("  %-48s %s%s\n", what, err > 0 ? "no: " : "",
		       err == FEATURE_UNKNOWN ? "not tried"
		       : err                  ? strerror(err)
					      : "yes");
	}
}

static void print_result(const struct doctor *doctor, const char *head, enum plan_result result,
			 const char *why)
{
	const char *yes = doctor->self.tried ? "yes" : "probably";
	bool runs = result == PLAN_OK || result == PLAN_DEGRADED;

	printf("  %-14s %s%s%s\n", head, runs ? yes : "no", why[0] ? ": " : "",
	       safe(doctor_plan_why(why)));
}

static void print_tracer(const struct doctor *doctor, enum config_tracer which)
{
	const struct doctor_tracer *tracer = &doctor->tracers[which];
	char head[32];

	if (tracer->order)
		snprintf(head, sizeof(head), "%u %s", tracer->order, config_tracers[which]);
	else
		snprintf(head, sizeof(head), "- %s", config_tracers[which]);
	print_result(doctor, head, tracer->result, tracer->plan.why);
	if (tracer->result != tracer->by_name || strcmp(tracer->plan.why, tracer->named.why) != 0)
		print_result(doctor, "    by name", tracer->by_name, tracer->named.why);
}

/* Those that are tried in their order, then the others. */
static void print_tracers(const struct doctor *doctor)
{
	printf("\ntracers, in the order in which they are tried%s\n",
	       doctor->self.tried ? "" : " (assumed: the trials are missing)");
	printf("  instance %s (%s), tenant filter %s\n", instance_name(doctor->instance.type),
	       doctor->instance.evidence, plan_is_fargate(doctor->instance.type) ? "on" : "off");
	for (uint32_t order = 1; order <= TRACER_COUNT; order++)
		for (int i = TRACER_AUTO + 1; i < TRACER_COUNT; i++)
			if (doctor->tracers[i].order == order % TRACER_COUNT)
				print_tracer(doctor, (enum config_tracer)i);
}

static void print_file(const struct doctor_file *file)
{
	const char *name = strrchr(file->path, '/');
	char owner[2 * DOCTOR_NAME_MAX + 1] = "-", caps[1024] = "-", mode[8] = "-";

	if (!file->err) {
		snprintf(owner, sizeof(owner), "%s:%s", file->owner, file->group);
		snprintf(mode, sizeof(mode), "%04o", (unsigned int)file->mode & 07777);
	}
	if (!file->err && file->kind != DOCTOR_OBJECT)
		privs_caps_text(file->permitted | file->inheritable, caps, sizeof(caps));
	printf("  %-26s %-16s %-4s  %-19s  %s\n", safe(name ? name + 1 : file->path), owner, mode,
	       caps, file->finding.what[0] ? "see problems" : "ok");
}

static void print_files(const struct doctor *doctor)
{
	static const char *const heads[] = {
		[DOCTOR_PROGRAMS] = "programs", [DOCTOR_OBJECTS] = "objects"};

	printf("\nfiles\n");
	for (uint32_t i = 0; i < doctor->file_count; i++)
		if (doctor->files[i].kind <= DOCTOR_OBJECTS)
			printf("  %s in %s\n", heads[doctor->files[i].kind],
			       safe(doctor->files[i].path));
	for (uint32_t i = 0; i < doctor->file_count; i++)
		if (doctor->files[i].kind > DOCTOR_OBJECTS)
			print_file(&doctor->files[i]);
}

static void print_memory(const struct doctor_memory *memory)
{
	printf("\nmemory\n  %llu MiB, %llu MiB of them available; the default memory_budget is "
	       "%llu MiB,\n  for %u connections at the same time\n",
	       (unsigned long long)(memory->total_bytes >> 20),
	       (unsigned long long)(memory->available_bytes >> 20),
	       (unsigned long long)(memory->budget_bytes >> 20), memory->sizes.conn_max);
}

static void print_findings(const char *title, const char *of,
			   const struct doctor_findings *findings)
{
	if (findings->count)
		printf("\n%s%s\n", title, of);
	for (uint32_t i = 0; i < findings->count; i++) {
		printf("  %s\n", safe(findings->list[i].what));
		if (findings->list[i].remedy[0])
			printf("    remedy: %s\n", safe(findings->list[i].remedy));
	}
}

int doctor_text_print(const struct doctor *doctor)
{
	printf("conntrace " VERSION ", Linux %s, %s\n", safe(doctor->kernel.release),
	       doctor->kernel.machine);
	print_kernel(doctor);
	print_trials(doctor);
	print_tracers(doctor);
	print_files(doctor);
	print_memory(&doctor->memory);
	print_findings("lost with ", config_tracers[doctor->chosen], &doctor->losses);
	print_findings("problems", "", &doctor->problems);
	printf("\n%s\n", safe(doctor->conclusion));
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -EIO;
}
