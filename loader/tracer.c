/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/tracer.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/event.h"

_Static_assert(TRACER_FD_COUNT <= PROTO_FDS_MAX, "tracer: its fds fit into one message");

static const struct tracer_row rows[TRACER_FD_COUNT] = {
	[TRACER_RING] = {FD_RING, MAP_RING, {.type = BPF_MAP_TYPE_RINGBUF}, 0},
	[TRACER_COUNTERS] = {FD_COUNTERS,
			     MAP_COUNTERS,
			     {BPF_MAP_TYPE_ARRAY, sizeof(struct counters), COUNTER_SLOTS},
			     0},
	[TRACER_LEDGER] = {FD_LEDGER,
			   MAP_LEDGER,
			   {BPF_MAP_TYPE_ARRAY, sizeof(struct ledger), 1},
			   0},
	[TRACER_SETTINGS] = {FD_SETTINGS,
			     MAP_SETTINGS,
			     {BPF_MAP_TYPE_ARRAY, sizeof(struct settings), 1},
			     0},
	[TRACER_CONNECTIONS] = {FD_MAP, MAP_CONNECTIONS, {.type = BPF_MAP_TYPE_SK_STORAGE}, 0},
	[TRACER_PROG_SET_STATE] = {FD_PROGRAM, PROGRAM_SET_STATE, {0}, 0},
	[TRACER_PROG_DESTROY] = {FD_PROGRAM, PROGRAM_DESTROY, {0}, 0},
	[TRACER_PROG_WALK] = {FD_PROGRAM, PROGRAM_WALK, {0}, 0},
	[TRACER_LINK_SET_STATE] = {FD_LINK, PROGRAM_SET_STATE, {0}, TRACER_PROG_SET_STATE},
	[TRACER_LINK_DESTROY] = {FD_LINK, PROGRAM_DESTROY, {0}, TRACER_PROG_DESTROY},
	[TRACER_LINK_WALK] = {FD_ITER, PROGRAM_WALK, {0}, TRACER_PROG_WALK},
};

const struct tracer_row *tracer_row(enum tracer_fd which)
{
	return &rows[which];
}

void tracer_init(struct tracer *tracer)
{
	tracer->identity = 0;
	for (int i = 0; i < TRACER_FD_COUNT; i++)
		tracer->fds[i] = -1;
}

void tracer_close(struct tracer *tracer)
{
	for (int i = 0; i < TRACER_FD_COUNT; i++)
		if (tracer->fds[i] >= 0)
			close(tracer->fds[i]);
	tracer_init(tracer);
}

uint32_t tracer_fd_count(const struct tracer *tracer)
{
	uint32_t count = 0;

	for (int i = 0; i < TRACER_FD_COUNT; i++)
		count += tracer->fds[i] >= 0;
	return count;
}

static int row_find(const struct msg_fd *fd)
{
	for (int i = 0; i < TRACER_FD_COUNT; i++)
		if (rows[i].kind == fd->kind && strcmp(rows[i].name, fd->name) == 0)
			return i;
	return -1;
}

void tracer_take(struct tracer *tracer, const struct msg_manifest *manifest,
		 struct dispatch_fds *fds)
{
	tracer->identity = manifest->identity;
	for (uint32_t i = 0; i < manifest->fd_count && i < fds->count; i++) {
		int row = row_find(&manifest->fds[i]);

		if (row >= 0 && tracer->fds[row] < 0)
			tracer->fds[row] = dispatch_take_fd(fds, i);
	}
}

void tracer_manifest(const struct tracer *tracer, struct msg_manifest *manifest, int *fds)
{
	memset(manifest, 0, sizeof(*manifest));
	manifest->identity = tracer->identity;
	manifest->fd_count = TRACER_FD_COUNT;
	for (int i = 0; i < TRACER_FD_COUNT; i++) {
		manifest->fds[i].kind = rows[i].kind;
		snprintf(manifest->fds[i].name, sizeof(manifest->fds[i].name), "%s", rows[i].name);
		fds[i] = tracer->fds[i];
	}
}
