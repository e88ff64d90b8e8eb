/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor.h"
#include "common/privs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct doctor doctor;

/* --- a machine where all is well --- */

static struct doctor_file *add_file(enum doctor_file_kind kind, const char *path, mode_t mode)
{
	struct doctor_file *file = &doctor.files[doctor.file_count++];

	*file = (struct doctor_file){.kind = kind, .mode = mode};
	snprintf(file->path, sizeof(file->path), "%s", path);
	snprintf(file->owner, sizeof(file->owner), "root");
	return file;
}

static void add_files(void)
{
	struct doctor_file *loader;

	doctor.file_count = 0;
	add_file(DOCTOR_PROGRAMS, "/p", S_IFDIR | 0755);
	add_file(DOCTOR_OBJECTS, "/o", S_IFDIR | 0755);
	add_file(DOCTOR_SUPERVISOR, "/s/conntraced", S_IFREG | 0755);
	loader = add_file(DOCTOR_LOADER, "/p/loader", S_IFREG | 0750);
	loader->gid = 900;
	loader->permitted = PRIVS_LOADER;
	add_file(DOCTOR_CHILD, "/p/exporter", S_IFREG | 0755);
	for (int i = TRACER_AUTO + 1; i < TRACER_COUNT; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/o/%s", tracer_type((enum config_tracer)i)->object);
		add_file(DOCTOR_OBJECT, path, S_IFREG | 0644)->tracer = (enum config_tracer)i;
	}
}

static struct doctor_file *file_of(enum doctor_file_kind kind)
{
	for (uint32_t i = 0; i < doctor.file_count; i++)
		if (doctor.files[i].kind == kind)
			return &doctor.files[i];
	fail_msg("no file of kind %d", kind);
	return NULL;
}

static struct doctor_file *object_of(enum config_tracer tracer)
{
	for (uint32_t i = 0; i < doctor.file_count; i++)
		if (doctor.files[i].tracer == tracer)
			return &doctor.files[i];
	fail_msg("no object of tracer %d", tracer);
	return NULL;
}

static int be_well(void **state)
{
	int32_t *of = doctor.features.of;

	(void)state;
	memset(&doctor, 0, sizeof(doctor));
	for (int i = 0; i < FEATURE_try_ring; i++)
		of[i] = 1;
	of[FEATURE_lockdown] = 0;
	of[FEATURE_kprobe_multi] = 0;
	doctor.kernel = (struct doctor_kernel){
		.has_cap_bpf = true, .initial_user_namespace = true, .landlock_abi = 6};
	doctor.self = (struct doctor_self){
		.root = true, .tried = true, .bounding = UINT64_MAX, .memlock_bytes = UINT64_MAX};
	doctor.user = (struct doctor_user){
		.known = true, .uid = 900, .gid = 900, .name = "conntrace", .group = "ctgroup"};
	doctor.memory.total_bytes = 1u << 30;
	doctor.memory.available_bytes = 1u << 29;
	doctor.memory.budget_bytes = CONFIG_BUDGET_DEFAULT;
	config_apply_budget(doctor.memory.budget_bytes, &doctor.memory.sizes);
	doctor.instance.type = INSTANCE_HOST;
	add_files();
	return 0;
}

static void not_tried(void)
{
	doctor.self.root = false;
	doctor.self.tried = false;
	for (int i = FEATURE_try_ring; i < FEATURE_COUNT; i++)
		doctor.features.of[i] = FEATURE_UNKNOWN;
}

static const struct doctor_finding *find(const struct doctor_findings *findings, const char *what)
{
	for (uint32_t i = 0; i < findings->count; i++)
		if (strstr(findings->list[i].what, what))
			return &findings->list[i];
	return NULL;
}

/* --- which tracer, and what it does not tell --- */

static void test_doctor_judge_all_well(void **state)
{
	(void)state;
	doctor_judge(&doctor);
	assert_int_equal(doctor.problems.count, 0);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
	assert_int_equal(doctor.chosen, TRACER_TRACEPOINT);
	assert_false(doctor.assumed);
	assert_string_equal(doctor.conclusion, "would run: tracepoint");
	assert_int_equal(doctor.tracers[TRACER_FENTRY].order, 1);
	assert_int_equal(doctor.tracers[TRACER_FENTRY].result, PLAN_NOT_SUPPORTED);
	assert_int_equal(doctor.tracers[TRACER_FENTRY].by_name, PLAN_OK);
	assert_int_equal(doctor.losses.count, 1);
	assert_non_null(find(&doctor.losses, "listener"));
	assert_string_equal(doctor.losses.list[0].remedy, "set tracer: fentry");
}

/* Twice makes no difference: nothing of the first time is left. */
static void test_doctor_judge_again(void **state)
{
	static struct doctor first;

	(void)state;
	file_of(DOCTOR_LOADER)->permitted = 0;
	doctor_judge(&doctor);
	first = doctor;
	doctor_judge(&doctor);
	assert_string_equal(doctor.conclusion, first.conclusion);
	assert_int_equal(doctor.problems.count, first.problems.count);
	assert_string_equal(file_of(DOCTOR_LOADER)->finding.what,
			    doctor.problems.list[0].what + 10);
}

static void test_doctor_judge_says_when_it_could_not_try(void **state)
{
	(void)state;
	not_tried();
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
	assert_true(doctor.assumed);
	assert_int_equal(doctor.chosen, TRACER_TRACEPOINT);
	assert_string_equal(doctor.conclusion,
			    "would run: tracepoint, as far as can be told without trying");
	/* What nobody tried is no advice. */
	assert_string_equal(doctor.losses.list[0].remedy, "");
}

static void test_doctor_judge_fargate_takes_fentry(void **state)
{
	(void)state;
	doctor.instance.type = INSTANCE_ECS_FARGATE;
	doctor_judge(&doctor);
	assert_int_equal(doctor.chosen, TRACER_FENTRY);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
	assert_int_equal(doctor.tracers[TRACER_KPROBE].order, 0);
	assert_non_null(find(&doctor.losses, "pid namespace"));
	assert_null(find(&doctor.losses, "listener"));
	assert_null(find(&doctor.losses, "UDP"));
}

static void expect_no_udp(const char *why, const char *remedy)
{
	const struct doctor_finding *found;

	doctor_judge(&doctor);
	assert_int_equal(doctor.chosen, TRACER_TRACEPOINT);
	assert_int_equal(doctor.verdict, DOCTOR_DEGRADED);
	found = find(&doctor.losses, "no UDP flow is recorded: ");
	assert_non_null(found);
	assert_non_null(strstr(found->what, why));
	assert_string_equal(found->remedy, remedy);
	/* Of each program of it no word. */
	assert_null(find(&doctor.losses, "udp_send_skb"));
	assert_null(find(&doctor.losses, "tcp_v4_connect"));
}

static void test_doctor_judge_udp_where_the_kernel_refuses_it(void **state)
{
	(void)state;
	doctor.features.of[FEATURE_try_fentry] = EPERM;
	doctor.features.of[FEATURE_kprobe_pmu] = 0;
	expect_no_udp("the kernel refuses fentry programs", "");
	doctor.features.of[FEATURE_kprobe_pmu] = 1;
	expect_no_udp("the kernel refuses fentry programs", "set tracer: kprobe");
	assert_non_null(find(&doctor.losses, "no connect that fails at once is recorded: the "
					     "kernel refuses fentry programs"));
	doctor.features.of[FEATURE_try_fentry] = 0;
	doctor.features.of[FEATURE_iter_map] = 0;
	/* Nor would another. */
	expect_no_udp("by an iterator, which the kernel does not have", "");
	assert_null(find(&doctor.losses, "connect that fails"));
}

static void test_doctor_judge_a_missing_hook_degrades(void **state)
{
	(void)state;
	doctor.features.of[FEATURE_iter_storage] = 0;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_DEGRADED);
	assert_string_equal(
		doctor.conclusion,
		"degraded: tracepoint would run; no bpf_sk_storage_map: live connections "
		"are not listed (the kernel does not have it)");
}

static void test_doctor_judge_none_can_run(void **state)
{
	const struct doctor_finding *none;

	(void)state;
	doctor.features.of[FEATURE_tp_inet_sock_set_state] = 0;
	doctor.features.of[FEATURE_kprobe_pmu] = 0;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_int_equal(doctor.chosen, TRACER_AUTO);
	none = find(&doctor.problems, "no tracer can run here: fentry: not on this instance");
	assert_non_null(none);
	assert_non_null(strstr(none->what, "; tracepoint: required: inet_sock_set_state"));
	assert_non_null(strstr(none->what, "; kprobe: the kernel has no kprobes"));
	assert_int_equal(doctor.losses.count, 0);
}

static void test_doctor_judge_by_name_what_auto_could(void **state)
{
	(void)state;
	doctor.wanted = TRACER_KPROBE;
	doctor.features.of[FEATURE_kprobe_pmu] = 0;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_string_equal(doctor.problems.list[0].what,
			    "what is asked for can't run here: kprobe: the kernel has no kprobes "
			    "(CONFIG_KPROBE_EVENTS)");
	assert_string_equal(doctor.problems.list[0].remedy,
			    "set tracer to auto: tracepoint can run here");
	assert_int_equal(doctor.tracers[TRACER_TRACEPOINT].order, 0);
	be_well(NULL);
	doctor.wanted = TRACER_FENTRY;
	doctor_judge(&doctor);
	assert_int_equal(doctor.chosen, TRACER_FENTRY);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
}

/* --- what stands in the way --- */

static void make_old(void)
{
	doctor.kernel.has_cap_bpf = false;
	doctor.self.bounding = 0;
}

static void make_rootless(void)
{
	doctor.kernel.initial_user_namespace = false;
	doctor.features.of[FEATURE_try_ring] = EPERM;
}

static void make_no_seccomp(void)
{
	doctor.kernel.seccomp = -EINVAL;
}

static void make_no_landlock(void)
{
	doctor.kernel.landlock_abi = 0;
}

static void make_landlock_refused(void)
{
	doctor.kernel.landlock_abi = -EPERM;
}

static void make_bounded(void)
{
	doctor.self.bounding &= ~PRIVS_CAP(CAP_PERFMON);
}

static void make_no_new_privs(void)
{
	doctor.self.init_no_new_privs = true;
}

static void make_no_user(void)
{
	doctor.user.known = false;
}

static void make_no_btf(void)
{
	doctor.btf.err = -ENOENT;
	snprintf(doctor.btf.what, sizeof(doctor.btf.what), "no BTF: none: run another kernel");
	doctor.features.of[FEATURE_kernel_btf] = 0;
}

static void make_garbage_btf(void)
{
	doctor.btf.err = -EINVAL;
	snprintf(doctor.btf.what, sizeof(doctor.btf.what), "/sys/x: holds no BTF");
}

static void make_untrusted_btf(void)
{
	doctor.btf.err = -EPERM;
	snprintf(doctor.btf.what, sizeof(doctor.btf.what), "x.btf is bad: chown root:root it");
}

static void make_little_memory(void)
{
	doctor.memory.available_bytes = 8u << 20;
}

static void make_little_memlock(void)
{
	doctor.features.of[FEATURE_try_ring] = EPERM;
	doctor.features.of[FEATURE_socket_storage] = 0;
	doctor.self.memlock_bytes = 65536;
}

static void make_maps_refused(void)
{
	doctor.features.of[FEATURE_try_ring] = EPERM;
}

static void make_locked_down(void)
{
	doctor.wanted = TRACER_KPROBE;
	doctor.features.of[FEATURE_try_read] = EPERM;
	doctor.features.of[FEATURE_lockdown] = 2;
	doctor.features.of[FEATURE_try_tracepoint] = EPERM;
}

static void make_paranoid(void)
{
	doctor.features.of[FEATURE_try_tracepoint] = EINVAL;
	doctor.features.of[FEATURE_try_perf] = EACCES;
	doctor.features.of[FEATURE_perf_event_paranoid] = 3;
}

static void make_paranoid_untried(void)
{
	not_tried();
	doctor.wanted = TRACER_KPROBE;
	doctor.features.of[FEATURE_perf_event_paranoid] = 3;
}

static const struct {
	void (*make)(void);
	enum doctor_verdict verdict;
	const char *what, *remedy;
} hosts[] = {
	{make_old, DOCTOR_CANNOT, "does not know the capability cap_bpf", "Linux 5.10"},
	{make_rootless, DOCTOR_CANNOT, "user namespace of its own", "initial user namespace"},
	{make_no_seccomp, DOCTOR_CANNOT, "seccomp filters can't be had", "CONFIG_SECCOMP_FILTER=y"},
	{make_no_landlock, DOCTOR_DEGRADED, "no Landlock", "CONFIG_SECURITY_LANDLOCK=y"},
	{make_landlock_refused, DOCTOR_CANNOT, "Landlock can't be asked", "seccomp profile"},
	{make_bounded, DOCTOR_CANNOT, "can have cap_perfmon: not in the bounding set", "PERFMON"},
	{make_no_new_privs, DOCTOR_CANNOT, "process 1 has no_new_privs",
	 "allowPrivilegeEscalation"},
	{make_no_user, DOCTOR_CANNOT, "no user conntrace or nobody", "useradd --system conntrace"},
	{make_no_btf, DOCTOR_CANNOT, "no BTF: none", "run another kernel"},
	{make_garbage_btf, DOCTOR_CANNOT, "/sys/x: holds no BTF", "CONFIG_DEBUG_INFO_BTF=y"},
	{make_untrusted_btf, DOCTOR_CANNOT, "x.btf is bad", "chown root:root it"},
	{make_little_memory, DOCTOR_DEGRADED, "8192 KiB of memory are available", "memory_budget"},
	{make_little_memlock, DOCTOR_CANNOT, "no BPF map may be made", "LimitMEMLOCK=infinity"},
	{make_maps_refused, DOCTOR_CANNOT, "no BPF map may be made",
	 "seccomp profile allow bpf(2)"},
	{make_locked_down, DOCTOR_CANNOT, "lockdown=confidentiality",
	 "boot with lockdown=integrity"},
	{make_paranoid, DOCTOR_CANNOT, "kernel.perf_event_paranoid", "perf_event_paranoid=2"},
	{make_paranoid_untried, DOCTOR_WELL, "kprobes will probably be refused", "paranoid=2"},
};

static void test_doctor_judge_the_host(void **state)
{
	for (size_t i = 0; i < COUNT(hosts); i++) {
		const struct doctor_finding *problem;

		be_well(state);
		hosts[i].make();
		doctor_judge(&doctor);
		problem = find(&doctor.problems, hosts[i].what);
		if (!problem) {
			fail_msg("%s: not said; said: %s", hosts[i].what, doctor.conclusion);
			return;
		}
		if (!strstr(problem->remedy, hosts[i].remedy))
			fail_msg("%s: the remedy is %s", hosts[i].what, problem->remedy);
		assert_int_equal(problem->weight, hosts[i].verdict);
		assert_int_equal(doctor.verdict, hosts[i].verdict);
		assert_ptr_equal(problem, &doctor.problems.list[0]);
		assert_int_equal(doctor.problems.count, 1);
		if (doctor.verdict == DOCTOR_CANNOT)
			assert_ptr_equal(strstr(doctor.conclusion, "cannot run: "),
					 doctor.conclusion);
	}
}

/* --- files --- */

/* One file with these facts, on a machine where all else is well. */
static const struct {
	enum doctor_file_kind kind;
	mode_t mode; /* of a regular file unless it says otherwise */
	uid_t uid;
	gid_t gid; /* of the loader: 900 is the group it should have */
	uint64_t caps;
	enum doctor_verdict verdict;
	const char *what, *remedy;
} modes[] = {
	{DOCTOR_LOADER, 0750, 0, 900, PRIVS_LOADER, DOCTOR_WELL, "", ""},
	{DOCTOR_LOADER, 0750, 0, 900, PRIVS_LOADER | PRIVS_NAT, DOCTOR_WELL, "", ""},
	{DOCTOR_LOADER, 0755, 0, 900, PRIVS_LOADER | PRIVS_NAT, DOCTOR_DEGRADED,
	 "can be executed by everyone", "chmod 0750 /p/loader"},
	{DOCTOR_LOADER, 0750, 0, 900, PRIVS_NAT, DOCTOR_CANNOT, "lacks cap_perfmon,cap_bpf",
	 "setcap cap_bpf,cap_perfmon,cap_net_admin+p /p/loader"},
	{DOCTOR_LOADER, 0550, 0, 900, PRIVS_LOADER, DOCTOR_WELL, "", ""},
	{DOCTOR_LOADER, 0750, 0, 900, 0, DOCTOR_CANNOT, "lacks cap_perfmon,cap_bpf",
	 "setcap cap_bpf,cap_perfmon+p /p/loader"},
	{DOCTOR_LOADER, 0750, 0, 900, PRIVS_CAP(CAP_BPF), DOCTOR_CANNOT, "lacks cap_perfmon",
	 "setcap cap_bpf,cap_perfmon+p /p/loader"},
	{DOCTOR_LOADER, 0750, 0, 900, PRIVS_LOADER | PRIVS_CAP(CAP_SYS_ADMIN), DOCTOR_DEGRADED,
	 "has capabilities that it must not have: cap_sys_admin",
	 "setcap cap_bpf,cap_perfmon+p /p/loader"},
	{DOCTOR_LOADER, 0750, 0, 0, PRIVS_LOADER, DOCTOR_CANNOT,
	 "can't be executed by the user conntraced runs as",
	 "chown root:ctgroup /p/loader; chmod 0750 /p/loader; setcap cap_bpf,cap_perfmon+p "
	 "/p/loader"},
	{DOCTOR_LOADER, 0750, 1000, 900, PRIVS_LOADER, DOCTOR_DEGRADED, "belongs to root",
	 "chown root:ctgroup /p/loader; chmod 0750 /p/loader; setcap cap_bpf,cap_perfmon+p "
	 "/p/loader"},
	{DOCTOR_LOADER, 0755, 0, 900, PRIVS_LOADER, DOCTOR_DEGRADED, "can be executed by everyone",
	 "chmod 0750 /p/loader"},
	{DOCTOR_LOADER, 0770, 0, 900, PRIVS_LOADER, DOCTOR_DEGRADED,
	 "can be written by others than root", "chmod 0750 /p/loader"},
	{DOCTOR_LOADER, 04750, 0, 900, PRIVS_LOADER, DOCTOR_CANNOT, "is setuid or setgid",
	 "chmod 0750 /p/loader"},
	{DOCTOR_LOADER, S_IFDIR | 0755, 0, 900, 0, DOCTOR_CANNOT, "is not a regular file",
	 "install conntrace"},
	{DOCTOR_CHILD, 0755, 1000, 1000, 0, DOCTOR_WELL, "", ""},
	{DOCTOR_CHILD, 0750, 0, 900, 0, DOCTOR_WELL, "", ""},
	{DOCTOR_CHILD, 0750, 0, 0, 0, DOCTOR_CANNOT,
	 "can't be executed by the user conntraced runs as", "chmod a+rx /p/exporter"},
	{DOCTOR_CHILD, 0755, 0, 0, PRIVS_CAP(CAP_NET_RAW), DOCTOR_DEGRADED,
	 "has capabilities that it must not have: cap_net_raw", "setcap -r /p/exporter"},
	{DOCTOR_CHILD, 0755, 0, 0, PRIVS_CAP(CAP_BPF), DOCTOR_CANNOT,
	 "has capabilities that it must not have: cap_bpf", "setcap -r /p/exporter"},
	{DOCTOR_CHILD, 04755, 0, 0, 0, DOCTOR_CANNOT, "is setuid or setgid",
	 "chmod u-s,g-s /p/exporter"},
	{DOCTOR_CHILD, 0757, 0, 0, 0, DOCTOR_DEGRADED, "can be written by everyone",
	 "chmod o-w /p/exporter"},
	{DOCTOR_SUPERVISOR, 0700, 0, 0, 0, DOCTOR_WELL, "", ""},
	{DOCTOR_SUPERVISOR, 0755, 0, 0, PRIVS_LOADER, DOCTOR_DEGRADED,
	 "has capabilities that it must not have: cap_perfmon,cap_bpf", "setcap -r /s/conntraced"},
	{DOCTOR_PROGRAMS, S_IFDIR | 0700, 0, 0, 0, DOCTOR_CANNOT,
	 "can't be entered by the user conntraced runs as", "chmod a+x /p"},
	{DOCTOR_OBJECTS, 0644, 0, 0, 0, DOCTOR_CANNOT, "is not a directory", "install conntrace"},
};

static void test_doctor_judge_modes_and_capabilities(void **state)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct doctor_file *file;

		be_well(state);
		file = file_of(modes[i].kind);
		file->mode = modes[i].mode & S_IFMT ? modes[i].mode : S_IFREG | modes[i].mode;
		file->uid = modes[i].uid;
		file->gid = modes[i].gid;
		file->permitted = modes[i].caps;
		doctor_judge(&doctor);
		assert_string_equal(file->finding.what, modes[i].what);
		assert_string_equal(file->finding.remedy, modes[i].remedy);
		assert_int_equal(file->finding.weight, modes[i].verdict);
		assert_int_equal(doctor.verdict, modes[i].verdict);
		assert_int_equal(doctor.problems.count, modes[i].what[0] ? 1 : 0);
	}
}

/* What the loader's file may have besides, a child's must not: it would refuse to run with it. */
static void test_doctor_judge_a_child_with_what_nat_needs(void **state)
{
	struct doctor_file *child = file_of(DOCTOR_CHILD), *loader = file_of(DOCTOR_LOADER);

	(void)state;
	child->permitted = PRIVS_NAT;
	doctor_judge(&doctor);
	assert_int_equal(child->finding.weight, DOCTOR_DEGRADED);
	loader->permitted |= PRIVS_NAT;
	doctor_judge(&doctor);
	assert_int_equal(child->finding.weight, DOCTOR_CANNOT);
	assert_string_equal(child->finding.remedy, "setcap -r /p/exporter");
}

static void test_doctor_judge_nat_only_if_it_is_asked_for(void **state)
{
	struct doctor_file *loader = file_of(DOCTOR_LOADER);

	(void)state;
	doctor.kernel.conntrack = false;
	doctor.self.bounding &= ~PRIVS_NAT;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
	doctor.nat = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_DEGRADED);
	assert_int_equal(doctor.problems.count, 3);
	assert_string_equal(loader->finding.what, "lacks cap_net_admin, which nat needs");
	assert_string_equal(loader->finding.remedy,
			    "setcap cap_bpf,cap_perfmon,cap_net_admin+p /p/loader");
	loader->permitted |= PRIVS_NAT;
	doctor_judge(&doctor);
	assert_int_equal(doctor.problems.count, 2);
	assert_non_null(strstr(doctor.problems.list[0].what, "not in the bounding set"));
	assert_non_null(strstr(doctor.problems.list[0].remedy, "NET_ADMIN"));
	doctor.self.bounding |= PRIVS_NAT;
	doctor_judge(&doctor);
	assert_int_equal(doctor.problems.count, 1);
	assert_non_null(strstr(doctor.problems.list[0].what, "not tracked"));
	assert_non_null(strstr(doctor.problems.list[0].remedy, "nf_conntrack"));
	doctor.kernel.conntrack = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
}

static void test_doctor_judge_mounts(void **state)
{
	struct doctor_file *loader = file_of(DOCTOR_LOADER);

	(void)state;
	loader->nosuid = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_non_null(strstr(loader->finding.what, "mounted nosuid"));
	assert_null(strstr(loader->finding.remedy, "setcap"));
	loader->nosuid = false;
	file_of(DOCTOR_CHILD)->noexec = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_non_null(find(&doctor.problems, "/p/exporter is on a file system"));
}

static void test_doctor_judge_capabilities_that_are_raised_at_once(void **state)
{
	(void)state;
	file_of(DOCTOR_LOADER)->effective = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_DEGRADED);
	assert_string_equal(doctor.problems.list[0].remedy,
			    "setcap cap_bpf,cap_perfmon+p /p/loader");
	/* Not executed at all, for want of the third in the bounding set. */
	file_of(DOCTOR_LOADER)->permitted |= PRIVS_CAP(CAP_NET_RAW);
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
}

/* Who is not root may start conntraced as himself. */
static void test_doctor_judge_by_whom_it_is_started(void **state)
{
	struct doctor_file *loader = file_of(DOCTOR_LOADER);

	(void)state;
	loader->gid = 1000;
	loader->mine = true;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	doctor.self.root = false;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
}

static void break_object(enum config_tracer tracer)
{
	struct doctor_file *object = object_of(tracer);

	object->mode |= S_IWOTH;
	object->object_err = -EPERM;
	snprintf(object->object_why, sizeof(object->object_why),
		 "%s is writable by others than root: chmod go-w it", tracer_type(tracer)->object);
}

static void test_doctor_judge_objects(void **state)
{
	(void)state;
	break_object(TRACER_TRACEPOINT);
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_string_equal(doctor.problems.list[0].what,
			    "/o/tracer-tracepoint.bpf.o is writable by others than root");
	assert_string_equal(doctor.problems.list[0].remedy,
			    "chmod go-w /o/tracer-tracepoint.bpf.o");
	be_well(NULL);
	break_object(TRACER_KPROBE);
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_DEGRADED);
	be_well(NULL);
	object_of(TRACER_TRACEPOINT)->mode = S_IFREG | 0600;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_non_null(strstr(doctor.problems.list[0].remedy, "chmod a+r /o/"));
	be_well(NULL);
	object_of(TRACER_TRACEPOINT)->object_err = -EIO;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_string_equal(doctor.problems.list[0].remedy, "install conntrace");
}

static void test_doctor_judge_a_missing_installation_is_one_problem(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < doctor.file_count; i++)
		if (doctor.files[i].kind != DOCTOR_SUPERVISOR)
			doctor.files[i].err = ENOENT;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	assert_int_equal(doctor.problems.count, 1);
	assert_string_equal(doctor.problems.list[0].what, "/p is missing");
	assert_string_equal(file_of(DOCTOR_LOADER)->finding.what, "is missing");
}

static void test_doctor_judge_what_may_not_be_looked_at_is_assumed(void **state)
{
	(void)state;
	file_of(DOCTOR_LOADER)->err = EACCES;
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_WELL);
	assert_true(doctor.assumed);
	assert_string_equal(doctor.problems.list[0].remedy, "run conntrace doctor as root");
}

/* The longest paths, and everything wrong with every file: cut, not overrun. */
static void test_doctor_judge_everything_wrong(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < doctor.file_count; i++) {
		struct doctor_file *file = &doctor.files[i];
		const char *name = strrchr(file->path, '/');
		char path[PATH_MAX];

		memset(path, 'x', sizeof(path));
		path[0] = '/';
		snprintf(path + 4000, sizeof(path) - 4000, "%s", name);
		memcpy(file->path, path, sizeof(path));
		file->mode = (file->mode & S_IFMT) | 06007;
		file->uid = file->gid = 1;
		file->nosuid = file->noexec = file->effective = true;
		file->permitted = ~PRIVS_LOADER & ((UINT64_C(1) << 41) - 1);
	}
	make_rootless();
	make_no_seccomp();
	make_no_landlock();
	make_bounded();
	make_no_new_privs();
	make_garbage_btf();
	make_little_memory();
	break_object(TRACER_FENTRY);
	doctor_judge(&doctor);
	assert_int_equal(doctor.verdict, DOCTOR_CANNOT);
	for (uint32_t i = 1; i < doctor.problems.count; i++)
		assert_true(doctor.problems.list[i].weight <= doctor.problems.list[i - 1].weight);
}

static void test_doctor_find_leaves_out_what_finds_no_room(void **state)
{
	static struct doctor_findings findings;

	(void)state;
	for (uint32_t i = 0; i < DOCTOR_FINDINGS_MAX + 2; i++)
		doctor_find(&findings, DOCTOR_WELL, "", "%u", i);
	assert_int_equal(findings.count, DOCTOR_FINDINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_doctor_judge_all_well, be_well),
		cmocka_unit_test_setup(test_doctor_judge_again, be_well),
		cmocka_unit_test_setup(test_doctor_judge_says_when_it_could_not_try, be_well),
		cmocka_unit_test_setup(test_doctor_judge_fargate_takes_fentry, be_well),
		cmocka_unit_test_setup(test_doctor_judge_udp_where_the_kernel_refuses_it, be_well),
		cmocka_unit_test_setup(test_doctor_judge_a_missing_hook_degrades, be_well),
		cmocka_unit_test_setup(test_doctor_judge_none_can_run, be_well),
		cmocka_unit_test_setup(test_doctor_judge_by_name_what_auto_could, be_well),
		cmocka_unit_test_setup(test_doctor_judge_the_host, be_well),
		cmocka_unit_test_setup(test_doctor_judge_modes_and_capabilities, be_well),
		cmocka_unit_test_setup(test_doctor_judge_a_child_with_what_nat_needs, be_well),
		cmocka_unit_test_setup(test_doctor_judge_nat_only_if_it_is_asked_for, be_well),
		cmocka_unit_test_setup(test_doctor_judge_mounts, be_well),
		cmocka_unit_test_setup(test_doctor_judge_capabilities_that_are_raised_at_once,
				       be_well),
		cmocka_unit_test_setup(test_doctor_judge_by_whom_it_is_started, be_well),
		cmocka_unit_test_setup(test_doctor_judge_objects, be_well),
		cmocka_unit_test_setup(test_doctor_judge_a_missing_installation_is_one_problem,
				       be_well),
		cmocka_unit_test_setup(test_doctor_judge_what_may_not_be_looked_at_is_assumed,
				       be_well),
		cmocka_unit_test_setup(test_doctor_judge_everything_wrong, be_well),
		cmocka_unit_test(test_doctor_find_leaves_out_what_finds_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
