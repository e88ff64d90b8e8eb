/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/manager.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "loader/procfs.h"

#define PID_NAMESPACE_PATH "/proc/self/ns/pid"
#define PORT_RANGE_PATH    "/proc/sys/net/ipv4/ip_local_port_range"

#define UDP_TIMEOUT_PATH        "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
#define UDP_STREAM_TIMEOUT_PATH "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"

/* net/netfilter/nf_conntrack_proto_udp.c */
#define UDP_TIMEOUT_S        30
#define UDP_STREAM_TIMEOUT_S 120

#define NS_PER_S 1000000000u

#define ATTACH_TRIES   4u
#define ATTACH_WAIT_MS 20u

/* The kernel's dev_t: 12 bits of major number, 20 of minor. */
static uint64_t kernel_dev(dev_t dev)
{
	return (uint64_t)major(dev) << 20 | minor(dev);
}

/* "32768\t60999\n" */
static void read_port_range(struct manager_host *host)
{
	char text[32], *end;
	unsigned long low, high;

	procfs_text(PORT_RANGE_PATH, text, sizeof(text));
	low = strtoul(text, &end, 10);
	high = strtoul(end, NULL, 10);
	if (!low || low > high || high > UINT16_MAX)
		return;
	host->ephemeral_low = (uint16_t)low;
	host->ephemeral_high = (uint16_t)high;
}

static uint32_t timeout_s(const char *path, uint32_t otherwise)
{
	int32_t seconds = procfs_number(path);

	return seconds > 0 ? (uint32_t)seconds : otherwise;
}

int manager_host_read(struct manager_host *host, bool tenants_only)
{
	struct stat st;

	*host = (struct manager_host){0};
	read_port_range(host);
	host->udp_timeout_s = timeout_s(UDP_TIMEOUT_PATH, UDP_TIMEOUT_S);
	host->udp_stream_timeout_s = timeout_s(UDP_STREAM_TIMEOUT_PATH, UDP_STREAM_TIMEOUT_S);
	if (!tenants_only)
		return 0;
	if (stat(PID_NAMESPACE_PATH, &st) < 0)
		return -errno;
	host->pidns_dev = kernel_dev(st.st_dev);
	host->pidns_ino = st.st_ino;
	return 0;
}

struct manager_options manager_options_make(const struct plan *plan, const struct config *config,
					    const struct features *features,
					    const struct manager_host *host)
{
	bool table = plan->store == STORE_TABLE;

	return (struct manager_options){
		.type = tracer_type(plan->tracer),
		.plan = *plan,
		.ring_bytes = config->ring_bytes,
		.table_entries = table ? config->conn_max : 1,
		.flow_entries = plan_has_part(plan, PART_UDP) ? config->flow_max : 1,
		.attach_tries = ATTACH_TRIES,
		.attach_wait_ms = ATTACH_WAIT_MS,
		.constants = {
			.ring_wakeup_bytes = config->ring_bytes / 4,
			.ring_defer_bytes = config->ring_bytes / 2,
			.pidns_dev = host->pidns_dev,
			.pidns_ino = host->pidns_ino,
			.socket_storage = !table,
			.socket_cookie = features->of[FEATURE_socket_cookie] == 1,
			.ephemeral_low = host->ephemeral_low,
			.ephemeral_high = host->ephemeral_high,
			.helper_read = features->of[FEATURE_try_read] == 0,
			.flow_idle_ns = (uint64_t)host->udp_timeout_s * NS_PER_S,
			.flow_idle_assured_ns = (uint64_t)host->udp_stream_timeout_s * NS_PER_S,
		}};
}

void manager_init(struct manager *manager, const struct manager_options *options)
{
	*manager = (struct manager){.options = *options};
	for (uint32_t i = 0; i < options->type->probe_count; i++)
		manager->probes[i].state = options->plan.probes[i];
}

static const char *how(const struct manager_options *options, const struct probe *probe)
{
	static const char *const kprobes[] = {[KPROBE_MULTI] = "kprobe.multi",
					      [KPROBE_LINK] = "kprobe (perf event link)",
					      [KPROBE_PERF] = "kprobe (perf event)"};
	static const char *const kretprobes[] = {[KPROBE_MULTI] = "kretprobe.multi",
						 [KPROBE_LINK] = "kretprobe (perf event link)",
						 [KPROBE_PERF] = "kretprobe (perf event)"};
	static const char *const others[] = {[PROBE_TRACEPOINT] = "tp_btf",
					     [PROBE_FENTRY] = "fentry",
					     [PROBE_FEXIT] = "fexit",
					     [PROBE_WALK] = PROBE_HOW_WALK,
					     [PROBE_WALK_FLOWS] = "iterator over flows",
					     [PROBE_SEED] = "iterator over files"};

	if (probe->kind == PROBE_KPROBE)
		return kprobes[options->plan.kprobe];
	if (probe->kind == PROBE_KRETPROBE)
		return kretprobes[options->plan.kprobe];
	return others[probe->kind];
}

static void report_probe(const struct manager *manager, const struct tracer *tracer, uint32_t i,
			 struct msg_probe *out)
{
	const struct probe *probe = &manager->options.type->probes[i];
	const struct probe_status *status = &manager->probes[i];
	const char *off_why = manager->options.plan.off_why[i];
	struct bpf_prog_info info = {.type = 0};
	uint32_t len = sizeof(info);

	snprintf(out->program, sizeof(out->program), "%s", probe->program);
	snprintf(out->hook, sizeof(out->hook), "%s", probe->hook);
	snprintf(out->how, sizeof(out->how), "%s", how(&manager->options, probe));
	out->required = probe->required;
	out->state = status->state;
	out->err = (uint32_t)status->err;
	out->verified_insns = status->verified_insns;
	if (status->state == PROBE_OFF)
		snprintf(out->note, sizeof(out->note), "%s", off_why);
	else if (status->state == PROBE_MISSING)
		snprintf(out->note, sizeof(out->note), "%s: %s", off_why, probe->without);
	else if (status->state == PROBE_FAILED && probe->without)
		snprintf(out->note, sizeof(out->note), "%s", probe->without);
	if (tracer->programs[i] >= 0 &&
	    bpf_obj_get_info_by_fd(tracer->programs[i], &info, &len) == 0)
		out->missed = info.recursion_misses;
}

void manager_report(const struct manager *manager, const struct tracer *tracer,
		    struct msg_tracer *report)
{
	memset(report, 0, sizeof(*report));
	snprintf(report->tracer, sizeof(report->tracer), "%s", manager->options.type->name);
	report->probe_count = manager->options.type->probe_count;
	for (uint32_t i = 0; i < report->probe_count; i++)
		report_probe(manager, tracer, i, &report->probes[i]);
}
