/* SPDX-License-Identifier: Apache-2.0 */
/* What is adopted of an earlier loader and what is not: by a kernel that answers as the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "loader/handover.h"

/* The fds of the tracer; their objects have the same numbers. */
#define MAP(i)     (1000 + (int)(i))
#define PROGRAM(i) (2000 + (int)(i))
#define LINK(i)    (3000 + (int)(i))
#define RING_BYTES (1u << 20)

static struct bpf_map_info map_infos[TRACER_MAPS];
static struct bpf_prog_info program_infos[TRACER_PROBES_MAX];
static uint32_t shared_maps[TRACER_PROBES_MAX]; /* the map that the program has */
static struct bpf_link_info link_infos[TRACER_PROBES_MAX];

int __wrap_bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *len);
int __wrap_bpf_obj_get_info_by_fd(int fd, void *info, uint32_t *len)
{
	uint32_t i = (uint32_t)fd % 1000 % TRACER_PROBES_MAX;

	if (fd >= LINK(0)) {
		memcpy(info, &link_infos[i], *len);
	} else if (fd >= PROGRAM(0)) {
		struct bpf_prog_info *program = info;
		uint32_t *maps = (uint32_t *)(uintptr_t)program->map_ids;

		maps[0] = shared_maps[i];
		memcpy(program, &program_infos[i], *len);
	} else {
		memcpy(info, &map_infos[i], *len);
	}
	return 0;
}

static struct manager manager;
static struct tracer tracer;
static char why[256];

static void make_map(int i)
{
	const struct tracer_map_row *row = tracer_map((enum tracer_map)i, tracer.store);

	map_infos[i] = (struct bpf_map_info){.id = (uint32_t)MAP(i),
					     .type = row->type,
					     .value_size = row->value_size,
					     .max_entries = row->max_entries};
	if (i == TRACER_RING)
		map_infos[i].max_entries = RING_BYTES;
	if (i == TRACER_FLOWS || i == TRACER_FLOW_SOCKETS)
		map_infos[i].max_entries = manager.options.flow_entries;
	snprintf(map_infos[i].name, BPF_OBJ_NAME_LEN, "%s", row->name);
	tracer.maps[i] = MAP(i);
}

static void make_probe(uint32_t i)
{
	const struct probe *probe = &tracer.type->probes[i];
	bool walks = probe->kind == PROBE_WALK || probe->kind == PROBE_WALK_FLOWS ||
		     probe->kind == PROBE_SEED;
	bool traces = probe->kind == PROBE_TRACEPOINT;

	manager.options.plan.probes[i] = walks || traces ? PROBE_PLANNED : PROBE_OFF;
	if (!walks && !traces)
		return;
	program_infos[i] = (struct bpf_prog_info){
		.type = BPF_PROG_TYPE_TRACING, .id = (uint32_t)PROGRAM(i), .nr_map_ids = 1};
	snprintf(program_infos[i].name, BPF_OBJ_NAME_LEN, "%s", probe->program);
	shared_maps[i] = (uint32_t)MAP(TRACER_COUNTERS);
	link_infos[i] = (struct bpf_link_info){.type = walks ? BPF_LINK_TYPE_ITER
							     : BPF_LINK_TYPE_RAW_TRACEPOINT,
					       .prog_id = (uint32_t)PROGRAM(i)};
	tracer.programs[i] = PROGRAM(i);
	tracer.links[i] = LINK(i);
}

/* A tracepoint tracer as the manager would make it, without what attaches by fentry. */
static int make_tracer(void **state)
{
	(void)state;
	memset(&manager, 0, sizeof(manager));
	tracer_init(&tracer);
	tracer.type = tracer_type(TRACER_TRACEPOINT);
	tracer.store = STORE_SOCKET;
	manager.options = (struct manager_options){
		.type = tracer.type,
		.plan = {.tracer = TRACER_TRACEPOINT, .store = STORE_SOCKET},
		.ring_bytes = RING_BYTES,
		.flow_entries = 100};
	for (int i = 0; i < TRACER_MAPS; i++)
		make_map(i);
	for (uint32_t i = 0; i < tracer.type->probe_count; i++)
		make_probe(i);
	return 0;
}

static void expect_refused(const char *what)
{
	assert_int_equal(handover_check(&manager, &tracer, why, sizeof(why)), -ESTALE);
	if (!strstr(why, what))
		fail_msg("said: %s, not of %s", why, what);
	assert_int_equal(make_tracer(NULL), 0);
	assert_int_equal(handover_check(&manager, &tracer, why, sizeof(why)), 0);
}

static void test_handover_takes_what_it_would_make(void **state)
{
	(void)state;
	assert_int_equal(handover_check(&manager, &tracer, why, sizeof(why)), 0);
	assert_int_equal(manager.probes[0].state, PROBE_ATTACHED);
}

static void test_handover_refuses_maps_of_another_shape(void **state)
{
	(void)state;
	for (int i = 0; i < TRACER_MAPS; i++) {
		const struct tracer_map_row *row = tracer_map((enum tracer_map)i, STORE_SOCKET);

		map_infos[i].type++;
		expect_refused(row->name);
		map_infos[i].name[0] ^= 1;
		expect_refused(row->name);
		if (row->value_size) {
			map_infos[i].value_size++;
			expect_refused(row->name);
		}
		if (row->max_entries || i == TRACER_RING || i == TRACER_FLOWS) {
			map_infos[i].max_entries++;
			expect_refused(row->name);
		}
	}
}

static void test_handover_refuses_programs_that_are_not_the_tracers(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < tracer.type->probe_count; i++) {
		const char *name = tracer.type->probes[i].program;

		if (!plan_has(&manager.options.plan, i)) {
			tracer.programs[i] = PROGRAM(i); /* one too many */
			expect_refused(name);
			continue;
		}
		program_infos[i].type = BPF_PROG_TYPE_KPROBE;
		expect_refused(name);
		program_infos[i].name[0] ^= 1;
		expect_refused(name);
		shared_maps[i]++; /* of another load */
		expect_refused(name);
		tracer.programs[i] = -1;
		expect_refused(name);
	}
}

static void test_handover_refuses_links_that_are_not_the_programs(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < tracer.type->probe_count; i++) {
		const char *name = tracer.type->probes[i].program;

		if (!plan_has(&manager.options.plan, i))
			continue;
		link_infos[i].prog_id++;
		expect_refused(name);
		link_infos[i].type = BPF_LINK_TYPE_PERF_EVENT;
		expect_refused(name);
		if (!tracer.type->probes[i].required)
			continue;
		tracer.links[i] = -1;
		expect_refused(name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_handover_takes_what_it_would_make, make_tracer),
		cmocka_unit_test_setup(test_handover_refuses_maps_of_another_shape, make_tracer),
		cmocka_unit_test_setup(test_handover_refuses_programs_that_are_not_the_tracers,
				       make_tracer),
		cmocka_unit_test_setup(test_handover_refuses_links_that_are_not_the_programs,
				       make_tracer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
