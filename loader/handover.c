/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/handover.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAPS_PER_PROGRAM_MAX 16u

static bool name_is(const char *kernel_name, const char *name)
{
	return strncmp(kernel_name, name, BPF_OBJ_NAME_LEN - 1) == 0;
}

static uint32_t entries_of(const struct manager_options *options, int map,
			   const struct tracer_map_row *row)
{
	if (map == TRACER_RING)
		return options->ring_bytes;
	if (map == TRACER_CONNECTIONS && options->plan.store == STORE_TABLE)
		return options->table_entries;
	if (map == TRACER_FLOWS || map == TRACER_FLOW_SOCKETS)
		return options->flow_entries;
	return row->max_entries;
}

static bool check_map(const struct manager_options *options, const struct tracer *tracer, int map,
		      uint32_t *id)
{
	const struct tracer_map_row *row = tracer_map((enum tracer_map)map, tracer->store);
	uint32_t entries = entries_of(options, map, row);
	struct bpf_map_info info = {.type = 0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(tracer->maps[map], &info, &len) < 0)
		return false;
	*id = info.id;
	return info.type == row->type && name_is(info.name, row->name) &&
	       (!row->value_size || info.value_size == row->value_size) &&
	       (!entries || info.max_entries == entries);
}

/* kind: enum probe_kind */
static const struct {
	uint32_t program;
	uint32_t link;
} types[] = {
	[PROBE_TRACEPOINT] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_RAW_TRACEPOINT},
	[PROBE_FENTRY] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_TRACING},
	[PROBE_FEXIT] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_TRACING},
	[PROBE_KPROBE] = {BPF_PROG_TYPE_KPROBE, BPF_LINK_TYPE_KPROBE_MULTI},
	[PROBE_KRETPROBE] = {BPF_PROG_TYPE_KPROBE, BPF_LINK_TYPE_KPROBE_MULTI},
	[PROBE_WALK] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_ITER},
	[PROBE_WALK_FLOWS] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_ITER},
	[PROBE_SEED] = {BPF_PROG_TYPE_TRACING, BPF_LINK_TYPE_ITER},
};

static bool check_program(const struct probe *probe, int fd, uint32_t shared_map,
			  struct bpf_prog_info *info)
{
	uint32_t maps[MAPS_PER_PROGRAM_MAX] = {0};
	uint32_t len = sizeof(*info);

	*info = (struct bpf_prog_info){.nr_map_ids = MAPS_PER_PROGRAM_MAX,
				       .map_ids = (uint64_t)(uintptr_t)maps};
	if (bpf_obj_get_info_by_fd(fd, info, &len) < 0)
		return false;
	if (info->type != types[probe->kind].program || !name_is(info->name, probe->program))
		return false;
	/* Every program counts: one of another load has another map for it. */
	for (uint32_t m = 0; m < info->nr_map_ids && m < MAPS_PER_PROGRAM_MAX; m++)
		if (maps[m] == shared_map)
			return true;
	return false;
}

/* A perf event without a link can't be asked which program it has (5.10). */
static bool is_perf_event(int fd)
{
	char path[32], target[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	return strcmp(target, "anon_inode:[perf_event]") == 0;
}

static uint32_t link_type(const struct manager_options *options, const struct probe *probe)
{
	if (types[probe->kind].program == BPF_PROG_TYPE_KPROBE &&
	    options->plan.kprobe == KPROBE_LINK)
		return BPF_LINK_TYPE_PERF_EVENT;
	return types[probe->kind].link;
}

static bool check_link(const struct manager_options *options, const struct probe *probe, int fd,
		       uint32_t prog_id)
{
	struct bpf_link_info info = {.type = 0};
	uint32_t len = sizeof(info);

	if (types[probe->kind].program == BPF_PROG_TYPE_KPROBE &&
	    options->plan.kprobe == KPROBE_PERF)
		return is_perf_event(fd);
	return bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.prog_id == prog_id &&
	       info.type == link_type(options, probe);
}

/* A program that is on has its fd; its link, too, if it is required. */
static bool check_probe(struct manager *manager, const struct tracer *tracer, uint32_t i,
			uint32_t shared_map)
{
	const struct probe *probe = &tracer->type->probes[i];
	int prog_fd = tracer->programs[i], link_fd = tracer->links[i];
	struct bpf_prog_info info;

	if (!plan_has(&manager->options.plan, i))
		return prog_fd < 0 && link_fd < 0;
	if (prog_fd < 0 || !check_program(probe, prog_fd, shared_map, &info))
		return false;
	manager->probes[i].verified_insns = info.verified_insns;
	if (link_fd < 0) {
		manager->probes[i].state = PROBE_FAILED;
		return !probe->required;
	}
	manager->probes[i].state = PROBE_ATTACHED;
	return check_link(&manager->options, probe, link_fd, info.id);
}

int handover_check(struct manager *manager, const struct tracer *tracer, char *why, size_t cap)
{
	uint32_t ids[TRACER_MAPS] = {0};

	for (int i = 0; i < TRACER_MAPS; i++) {
		if (check_map(&manager->options, tracer, i, &ids[i]))
			continue;
		snprintf(why, cap, "map %s is not as it is configured now",
			 tracer_map((enum tracer_map)i, tracer->store)->name);
		return -ESTALE;
	}
	for (uint32_t i = 0; i < tracer->type->probe_count; i++) {
		if (check_probe(manager, tracer, i, ids[TRACER_COUNTERS]))
			continue;
		snprintf(why, cap, "program %s is not as it would be now",
			 tracer->type->probes[i].program);
		return -ESTALE;
	}
	return 0;
}
