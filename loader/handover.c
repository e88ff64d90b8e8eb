/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/handover.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bpf/event.h"

#define MAPS_PER_PROGRAM_MAX 16u

/* The kernel's ids of a tracer's maps and programs, to compare with what programs and links name.
 */
struct ids {
	uint32_t of[TRACER_FD_COUNT];
};

static bool name_is(const char *kernel_name, const char *name)
{
	return strncmp(kernel_name, name, BPF_OBJ_NAME_LEN - 1) == 0;
}

static bool is_map(const struct tracer_row *row)
{
	return row->kind != FD_LINK && row->kind != FD_ITER && row->kind != FD_PROGRAM;
}

static bool check_map(const struct tracer *tracer, int i, uint32_t ring_bytes, struct ids *ids)
{
	const struct tracer_row *row = tracer_row((enum tracer_fd)i);
	uint32_t entries = i == TRACER_RING ? ring_bytes : row->map.max_entries;
	struct bpf_map_info info = {.type = 0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(tracer->fds[i], &info, &len) < 0)
		return false;
	ids->of[i] = info.id;
	return info.type == row->map.type && name_is(info.name, row->name) &&
	       (!row->map.value_size || info.value_size == row->map.value_size) &&
	       (!entries || info.max_entries == entries);
}

static bool check_program(const struct tracer *tracer, int i, struct ids *ids)
{
	const struct tracer_row *row = tracer_row((enum tracer_fd)i);
	uint32_t maps[MAPS_PER_PROGRAM_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_PER_PROGRAM_MAX,
				     .map_ids = (uint64_t)(uintptr_t)maps};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(tracer->fds[i], &info, &len) < 0)
		return false;
	ids->of[i] = info.id;
	if (info.type != BPF_PROG_TYPE_TRACING || !name_is(info.name, row->name))
		return false;
	/* Every program writes into the ring: one of another load has another. */
	for (uint32_t m = 0; m < info.nr_map_ids && m < MAPS_PER_PROGRAM_MAX; m++)
		if (maps[m] == ids->of[TRACER_RING])
			return true;
	return false;
}

static bool check_link(const struct tracer *tracer, int i, const struct ids *ids)
{
	const struct tracer_row *row = tracer_row((enum tracer_fd)i);
	struct bpf_link_info info = {.type = 0};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(tracer->fds[i], &info, &len) < 0 ||
	    info.prog_id != ids->of[row->program])
		return false;
	if (row->kind == FD_LINK)
		return info.type == BPF_LINK_TYPE_RAW_TRACEPOINT;
	return info.type == BPF_LINK_TYPE_ITER &&
	       info.iter.map.map_id == ids->of[TRACER_CONNECTIONS];
}

int handover_check(const struct tracer *tracer, uint64_t identity, uint32_t ring_bytes, char *why,
		   size_t cap)
{
	struct ids ids = {{0}};

	if (tracer_fd_count(tracer) < TRACER_FD_COUNT) {
		snprintf(why, cap, "%u of %d fds are there", tracer_fd_count(tracer),
			 TRACER_FD_COUNT);
		return -ENOENT;
	}
	if (tracer->identity != identity) {
		snprintf(why, cap, "they come from another object");
		return -ESTALE;
	}
	/* The table has maps first, then programs, then links: each check needs the ids before. */
	for (int i = 0; i < TRACER_FD_COUNT; i++) {
		const struct tracer_row *row = tracer_row((enum tracer_fd)i);
		bool good;

		if (is_map(row))
			good = check_map(tracer, i, ring_bytes, &ids);
		else if (row->kind == FD_PROGRAM)
			good = check_program(tracer, i, &ids);
		else
			good = check_link(tracer, i, &ids);
		if (!good) {
			snprintf(why, cap, "%s %s is not as it is configured now",
				 is_map(row) ? "map" : "program", row->name);
			return -ESTALE;
		}
	}
	return 0;
}
