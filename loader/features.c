/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/features.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/procfs.h"

#define LOCKDOWN_PATH   "/sys/kernel/security/lockdown"
#define PARANOID_PATH   "/proc/sys/kernel/perf_event_paranoid"
#define BPF_SYSCTL_PATH "/proc/sys/kernel/unprivileged_bpf_disabled"
#define KPROBE_PMU_PATH "/sys/bus/event_source/devices/kprobe/type"
#define KALLSYMS_PATH   "/proc/kallsyms"

/*
 * What is looked for among the kernel's types: where it stands tells what it is there for.
 * Without BTF only the functions can be found, by their symbols.
 */
static const struct {
	enum feature feature;
	uint32_t kind; /* BTF_KIND_ */
	const char *name;
} wanted[] = {
	/* kernel/trace/bpf_trace.c, under CONFIG_FPROBE */
	{FEATURE_kprobe_multi, BTF_KIND_STRUCT, "bpf_kprobe_multi_link"},
	{FEATURE_kprobe_multi, BTF_KIND_FUNC, "bpf_kprobe_multi_link_release"},
	/* kernel/bpf/syscall.c, under CONFIG_PERF_EVENTS, 5.15 */
	{FEATURE_perf_link, BTF_KIND_STRUCT, "bpf_perf_link"},
	{FEATURE_perf_link, BTF_KIND_FUNC, "bpf_perf_link_release"},
	/* net/core/bpf_sk_storage.c: the helper as tracing programs get it, 5.11 */
	{FEATURE_socket_storage, BTF_KIND_FUNC, "bpf_sk_storage_get_tracing"},
	/* net/core/filter.c: likewise, 5.12 */
	{FEATURE_socket_cookie, BTF_KIND_FUNC, "bpf_get_socket_ptr_cookie"},
	{FEATURE_iter_storage, BTF_KIND_FUNC, "bpf_iter_bpf_sk_storage_map"},
	{FEATURE_iter_map, BTF_KIND_FUNC, "bpf_iter_bpf_map_elem"},
	/* net/core/filter.c, 5.11; the iterator over files is older */
	{FEATURE_sock_from_file, BTF_KIND_FUNC, "bpf_sock_from_file"},
	{FEATURE_fn_tcp_set_state, BTF_KIND_FUNC, "tcp_set_state"},
	{FEATURE_fn_inet_csk_listen_start, BTF_KIND_FUNC, "inet_csk_listen_start"},
	{FEATURE_fn_security_sock_graft, BTF_KIND_FUNC, "security_sock_graft"},
	{FEATURE_fn_tcp_child_process, BTF_KIND_FUNC, "tcp_child_process"},
	{FEATURE_fn_inet_csk_destroy_sock, BTF_KIND_FUNC, "inet_csk_destroy_sock"},
	{FEATURE_fn_tcp_v4_connect, BTF_KIND_FUNC, "tcp_v4_connect"},
	{FEATURE_fn_tcp_v6_connect, BTF_KIND_FUNC, "tcp_v6_connect"},
	{FEATURE_fn_udp_send_skb, BTF_KIND_FUNC, "udp_send_skb"},
	{FEATURE_fn_udp_v6_send_skb, BTF_KIND_FUNC, "udp_v6_send_skb"},
	{FEATURE_fn_skb_consume_udp, BTF_KIND_FUNC, "skb_consume_udp"},
	{FEATURE_fn_udp_destroy_sock, BTF_KIND_FUNC, "udp_destroy_sock"},
	{FEATURE_fn_udpv6_destroy_sock, BTF_KIND_FUNC, "udpv6_destroy_sock"},
	{FEATURE_tp_inet_sock_set_state, BTF_KIND_TYPEDEF, "btf_trace_inet_sock_set_state"},
	{FEATURE_tp_tcp_destroy_sock, BTF_KIND_TYPEDEF, "btf_trace_tcp_destroy_sock"},
};

#define WANTED (sizeof(wanted) / sizeof(wanted[0]))

/* Ids of what was found, 0 = not there. */
struct found {
	uint32_t id[FEATURE_COUNT];
};

static void look_in_btf(struct features *features, struct found *found, const struct btf *btf)
{
	uint32_t count = btf__type_cnt(btf);

	for (uint32_t id = 1; id < count; id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		uint32_t kind = btf_kind(type);
		const char *name;

		if (kind != BTF_KIND_FUNC && kind != BTF_KIND_STRUCT && kind != BTF_KIND_TYPEDEF)
			continue;
		name = btf__name_by_offset(btf, type->name_off);
		for (size_t i = 0; i < WANTED; i++) {
			if (wanted[i].kind != kind || strcmp(name, wanted[i].name) != 0)
				continue;
			features->of[wanted[i].feature] = 1;
			found->id[wanted[i].feature] = id;
		}
	}
}

/* A line is "address type name", with "\t[module]" for what a module has. */
static void look_at_symbol(struct features *features, char *line)
{
	char *name = strrchr(line, ' ');

	if (!name || strchr(name, '['))
		return;
	name++;
	name[strcspn(name, "\n")] = '\0';
	for (size_t i = 0; i < WANTED; i++)
		if (wanted[i].kind == BTF_KIND_FUNC && strcmp(name, wanted[i].name) == 0)
			features->of[wanted[i].feature] = 1;
}

/* Without BTF the symbols tell at least what kprobes need. */
static void look_in_kallsyms(struct features *features)
{
	FILE *symbols = fopen(KALLSYMS_PATH, "re");
	char line[512];

	if (!symbols)
		return;
	features->of[FEATURE_kallsyms] = 1;
	while (fgets(line, sizeof(line), symbols))
		look_at_symbol(features, line);
	fclose(symbols);
}

/* "none [integrity] confidentiality": the one in brackets is in force. */
static int32_t read_lockdown(void)
{
	static const char *const levels[] = {"[none]", "[integrity]", "[confidentiality]"};
	char text[128];

	procfs_text(LOCKDOWN_PATH, text, sizeof(text));
	for (int32_t i = 0; i < 3; i++)
		if (strstr(text, levels[i]))
			return i;
	return FEATURE_UNKNOWN;
}

/* --- trials --- */

static int32_t outcome_of(int fd)
{
	int32_t err = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

static const struct bpf_insn do_nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* bpf_probe_read_kernel(fp - 8, 8, NULL) */
static const struct bpf_insn read_kernel[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10},
	{.code = BPF_ALU64 | BPF_ADD, .dst_reg = BPF_REG_1, .imm = -8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0},
	{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};

static int32_t try_program(const struct bpf_insn *insns, size_t count)
{
	return outcome_of(
		bpf_prog_load(BPF_PROG_TYPE_KPROBE, "conntrace_try", "GPL", insns, count, NULL));
}

/* Attached, too: Linux 6.1 for arm64 takes a program for fentry, and then has no way to call it. */
static int32_t try_tracing(const struct found *found, enum feature what,
			   enum bpf_attach_type attach)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
		    .attach_btf_id = found->id[what]);
	int32_t outcome;
	int fd;

	if (!found->id[what])
		return FEATURE_UNKNOWN;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "conntrace_try", "GPL", do_nothing,
			   sizeof(do_nothing) / sizeof(do_nothing[0]), &opts);
	if (fd < 0)
		return outcome_of(fd);
	outcome = outcome_of(bpf_raw_tracepoint_open(NULL, fd));
	close(fd);
	return outcome;
}

static int32_t try_ring(void)
{
	uint32_t bytes = (uint32_t)sysconf(_SC_PAGESIZE);

	return outcome_of(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "conntrace_try", 0, 0, bytes, NULL));
}

/*
 * Distributions let perf_event_paranoid 3 refuse every event to who lacks CAP_SYS_ADMIN, even one
 * that counts nothing and leaves the kernel out. This is one.
 */
static int32_t try_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.disabled = 1,
		.exclude_kernel = 1,
	};

	return outcome_of(
		(int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

static void make_trials(struct features *features, const struct found *found)
{
	int32_t *of = features->of;

	of[FEATURE_try_ring] = try_ring();
	of[FEATURE_try_tracepoint] =
		try_tracing(found, FEATURE_tp_inet_sock_set_state, BPF_TRACE_RAW_TP);
	of[FEATURE_try_fentry] = try_tracing(found, FEATURE_fn_tcp_set_state, BPF_TRACE_FENTRY);
	of[FEATURE_try_kprobe] =
		try_program(do_nothing, sizeof(do_nothing) / sizeof(do_nothing[0]));
	of[FEATURE_try_read] =
		try_program(read_kernel, sizeof(read_kernel) / sizeof(read_kernel[0]));
	of[FEATURE_try_perf] = try_perf();
}

void features_probe(struct features *features, const struct btf *btf, bool try)
{
	struct found found = {{0}};

	memset(features, 0, sizeof(*features));
	features->of[FEATURE_kernel_btf] = btf != NULL;
	if (btf)
		look_in_btf(features, &found, btf);
	else
		look_in_kallsyms(features);
	features->of[FEATURE_lockdown] = read_lockdown();
	features->of[FEATURE_perf_event_paranoid] = procfs_number(PARANOID_PATH);
	features->of[FEATURE_unprivileged_bpf_disabled] = procfs_number(BPF_SYSCTL_PATH);
	features->of[FEATURE_kprobe_pmu] = procfs_number(KPROBE_PMU_PATH) > 0;
	for (int i = FEATURE_try_ring; i < FEATURE_COUNT; i++)
		features->of[i] = FEATURE_UNKNOWN;
	if (try)
		make_trials(features, &found);
}

static const struct {
	const char *name;
	const char *meaning;
} rows[FEATURE_COUNT] = {
#define X(name, meaning) {#name, meaning},
	FEATURES(X)
#undef X
};

const char *feature_name(enum feature feature)
{
	return rows[feature].name;
}

const char *feature_meaning(enum feature feature)
{
	return rows[feature].meaning;
}
