/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/tracer.h"

/* Each tracer with each place that it remembers connections in. */
static const struct variant {
	enum config_tracer tracer;
	enum probe_store store;
} variants[] = {
	{TRACER_FENTRY, STORE_SOCKET},     {TRACER_FENTRY, STORE_TABLE},
	{TRACER_TRACEPOINT, STORE_SOCKET}, {TRACER_TRACEPOINT, STORE_TABLE},
	{TRACER_KPROBE, STORE_TABLE},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int some_fd(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_used(const struct probe *probe, enum probe_store store)
{
	return probe->store == STORE_ANY || probe->store == store;
}

/* With an fd in each place that a loaded and attached one has. */
static struct tracer attached(const struct variant *variant)
{
	struct tracer tracer;

	tracer_init(&tracer);
	tracer.type = tracer_type(variant->tracer);
	tracer.store = variant->store;
	tracer.identity = 0x1234567890abcdef;
	for (int i = 0; i < TRACER_MAPS; i++)
		tracer.maps[i] = some_fd();
	for (uint32_t i = 0; i < tracer.type->probe_count; i++) {
		if (!is_used(&tracer.type->probes[i], variant->store))
			continue;
		tracer.programs[i] = some_fd();
		tracer.links[i] = some_fd();
	}
	return tracer;
}

/* A message as it brings them to the next loader. */
struct message {
	struct msg_manifest manifest;
	struct dispatch_fds fds;
};

static struct message message_of(const struct tracer *tracer)
{
	struct message message = {.fds.count = 0};

	tracer_manifest(tracer, &message.manifest, message.fds.fds);
	message.fds.count = message.manifest.fd_count;
	return message;
}

static int add(struct message *message, enum fd_kind kind, const char *name)
{
	uint32_t i = message->manifest.fd_count++;

	message->manifest.fds[i].kind = kind;
	snprintf(message->manifest.fds[i].name, sizeof(message->manifest.fds[i].name), "%s", name);
	message->fds.fds[i] = some_fd();
	message->fds.count = message->manifest.fd_count;
	return message->fds.fds[i];
}

static void expect_same(const struct tracer *got, const struct tracer *want)
{
	assert_ptr_equal(got->type, want->type);
	assert_int_equal(got->store, want->store);
	assert_int_equal(got->identity, want->identity);
	assert_memory_equal(got->maps, want->maps, sizeof(want->maps));
	assert_memory_equal(got->programs, want->programs, sizeof(want->programs));
	assert_memory_equal(got->links, want->links, sizeof(want->links));
}

/* --- from one loader to the next --- */

static void test_tracer_comes_through_a_manifest(void **state)
{
	(void)state;
	for (size_t v = 0; v < COUNT(variants); v++) {
		struct tracer tracer = attached(&variants[v]), taken;
		struct message message = message_of(&tracer);
		struct tracer_inheritance inheritance;

		tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
		for (uint32_t i = 0; i < message.fds.count; i++)
			assert_int_equal(message.fds.fds[i], -1);
		tracer_take(&taken, tracer.type, tracer.store, &inheritance);
		expect_same(&taken, &tracer);
		for (uint32_t i = 0; i < PROTO_FDS_MAX; i++)
			assert_int_equal(inheritance.fds[i], -1);
		tracer_disinherit(&inheritance);
		assert_true(is_open(taken.links[0]));
		tracer_close(&taken);
	}
}

/* Left out, because the kernel lacks its hook or could not attach it. */
static void test_tracer_comes_through_with_gaps(void **state)
{
	(void)state;
	for (size_t v = 0; v < COUNT(variants); v++) {
		for (uint32_t i = 0; i < tracer_type(variants[v].tracer)->probe_count; i++) {
			struct tracer tracer = attached(&variants[v]), taken;
			struct tracer_inheritance inheritance;
			struct message message;

			if (tracer.links[i] >= 0)
				close(tracer.links[i]);
			tracer.links[i] = -1;
			if (i % 2 && tracer.programs[i] >= 0)
				close(tracer.programs[i]);
			tracer.programs[i] = i % 2 ? -1 : tracer.programs[i];
			message = message_of(&tracer);
			for (uint32_t n = 0; n < message.fds.count; n++)
				assert_true(is_open(message.fds.fds[n]));
			tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
			tracer_take(&taken, tracer.type, tracer.store, &inheritance);
			expect_same(&taken, &tracer);
			tracer_close(&taken);
		}
	}
}

static void test_tracer_inherits_but_for_the_objects_and_what_was_taken(void **state)
{
	struct tracer tracer = attached(&variants[0]);
	struct message message = message_of(&tracer);
	struct tracer_inheritance inheritance;
	int objects = add(&message, FD_OBJECTS, "objects");
	int cgroup = add(&message, FD_CGROUP, "cgroup");

	(void)state;
	assert_int_equal(dispatch_take_fd(&message.fds, message.fds.count - 1), cgroup);
	tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
	assert_int_equal(message.fds.fds[message.fds.count - 2], objects);
	assert_int_equal(inheritance.manifest.fd_count, message.manifest.fd_count - 2);
	tracer_disinherit(&inheritance);
	assert_true(is_open(cgroup));
	close(cgroup);
	assert_int_equal(inheritance.manifest.fd_count, 0);
	assert_false(is_open(tracer.maps[0]));
	assert_false(is_open(tracer.links[0]));
	assert_true(is_open(objects));
	close(objects);
}

/* The loader's first start: there is no tracer yet. */
static void test_tracer_inherits_nothing_where_only_the_objects_come(void **state)
{
	struct message message = {.fds.count = 0};
	struct tracer_inheritance inheritance;
	int objects = add(&message, FD_OBJECTS, "objects");

	(void)state;
	tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
	assert_int_equal(inheritance.manifest.fd_count, 0);
	tracer_disinherit(&inheritance);
	assert_true(is_open(objects));
	close(objects);
}

static void test_tracer_closes_what_it_has_no_place_for(void **state)
{
	struct tracer tracer = attached(&variants[2]), taken;
	struct message message = message_of(&tracer);
	struct tracer_inheritance inheritance;
	const int foreign[] = {
		add(&message, FD_MAP, "other"),
		add(&message, FD_PROGRAM, PROGRAM_LISTEN),
		add(&message, FD_LINK, ""),
		add(&message, FD_OUTPUT, MAP_RING),
		/* The first of a kind and name is it. */
		add(&message, FD_RING, MAP_RING),
		add(&message, FD_LINK, PROGRAM_SET_STATE),
	};

	(void)state;
	tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
	tracer_take(&taken, tracer.type, tracer.store, &inheritance);
	expect_same(&taken, &tracer);
	for (size_t i = 0; i < COUNT(foreign); i++)
		assert_true(is_open(foreign[i]));
	tracer_disinherit(&inheritance);
	for (size_t i = 0; i < COUNT(foreign); i++)
		assert_false(is_open(foreign[i]));
	assert_true(is_open(taken.maps[TRACER_RING]));
	tracer_close(&taken);
}

/* The manifest claims more than the message brought. */
static void test_tracer_inherits_only_what_came(void **state)
{
	struct tracer tracer = attached(&variants[2]), taken;
	struct message message = message_of(&tracer);
	struct tracer_inheritance inheritance;

	(void)state;
	message.fds.count = 3;
	tracer_inherit(&inheritance, &message.manifest, &message.fds, FD_OBJECTS);
	tracer_take(&taken, tracer.type, tracer.store, &inheritance);
	assert_int_equal(taken.maps[2], tracer.maps[2]);
	assert_int_equal(taken.maps[3], -1);
	assert_int_equal(taken.links[0], -1);
	tracer_disinherit(&inheritance);
	tracer_close(&taken);
	tracer_close(&tracer); /* three of them are closed by now */
}

static void test_tracer_close_leaves_nothing(void **state)
{
	struct tracer tracer = attached(&variants[0]), copy = tracer, fresh;

	(void)state;
	tracer_close(&tracer);
	for (int i = 0; i < TRACER_MAPS; i++)
		assert_false(is_open(copy.maps[i]));
	for (uint32_t i = 0; i < copy.type->probe_count; i++) {
		assert_false(copy.programs[i] >= 0 && is_open(copy.programs[i]));
		assert_false(copy.links[i] >= 0 && is_open(copy.links[i]));
	}
	tracer_init(&fresh);
	expect_same(&tracer, &fresh);
	tracer_close(&tracer);
}

static void test_tracer_walks_by_the_iterator_that_is_attached(void **state)
{
	struct tracer none;

	(void)state;
	tracer_init(&none);
	assert_int_equal(tracer_walk_link(&none), -1);
	for (size_t v = 0; v < COUNT(variants); v++) {
		struct tracer tracer = attached(&variants[v]);
		int link = tracer_walk_link(&tracer);
		uint32_t i = 0;

		while (tracer.links[i] != link)
			i++;
		assert_int_equal(tracer.type->probes[i].kind, PROBE_WALK);
		assert_int_equal(tracer.type->probes[i].store, tracer.store);
		close(link);
		tracer.links[i] = -1;
		assert_int_equal(tracer_walk_link(&tracer), -1);
		tracer_close(&tracer);
	}
}

/* By these kinds the supervisor knows what to close to detach everything. */
static void test_tracer_manifest_tells_links_and_iterators_apart(void **state)
{
	(void)state;
	for (size_t v = 0; v < COUNT(variants); v++) {
		struct tracer tracer = attached(&variants[v]);
		struct message message = message_of(&tracer);
		uint32_t walks = 0, links = 0;

		for (uint32_t i = 0; i < message.manifest.fd_count; i++) {
			const struct msg_fd *fd = &message.manifest.fds[i];

			if (fd->kind == FD_ITER) {
				int link = message.fds.fds[i];

				assert_true(link == tracer_walk_link(&tracer) ||
					    link == tracer_flow_link(&tracer) ||
					    link == tracer_seed_link(&tracer));
				walks++;
			}
			links += fd->kind == FD_LINK;
		}
		assert_int_equal(walks, tracer_flow_link(&tracer) < 0 ? 2 : 3);
		assert_in_range(links, 2, TRACER_PROBES_MAX);
		tracer_close(&tracer);
	}
}

/* With the directory of the objects beside them, as START brings them. */
static void test_tracer_fits_into_one_message(void **state)
{
	static uint8_t frame[PROTO_FRAME_MAX];

	(void)state;
	for (size_t v = 0; v < COUNT(variants); v++) {
		struct tracer tracer = attached(&variants[v]);
		struct message message = message_of(&tracer);
		struct msg_loaded loaded = {.manifest = message.manifest};
		struct msg_start start;

		assert_true(msg_pack(MSG_LOADED, &loaded, frame, sizeof(frame)) > 0);
		assert_in_range(message.manifest.fd_count, TRACER_MAPS + 2,
				proto_row(MSG_LOADED)->fds_max);
		assert_in_range(message.manifest.fd_count + 1, 0, proto_row(MSG_START)->fds_max);
		close(add(&message, FD_OBJECTS, "objects"));
		start.manifest = message.manifest;
		assert_true(msg_pack(MSG_START, &start, frame, sizeof(frame)) > 0);
		tracer_close(&tracer);
	}
}

/* --- the table and the objects --- */

static void test_tracer_says_what_is_missing_without_an_optional_program(void **state)
{
	(void)state;
	for (uint32_t t = TRACER_AUTO + 1; t < TRACER_COUNT; t++) {
		const struct tracer_type *type = tracer_type((enum config_tracer)t);
		uint32_t required = 0;

		assert_string_equal(type->name, config_tracers[t]);
		for (uint32_t i = 0; i < type->probe_count; i++) {
			assert_int_equal(type->probes[i].without != NULL,
					 !type->probes[i].required);
			required += type->probes[i].required;
		}
		assert_true(required > 0);
	}
}

static struct bpf_object *open_object(const struct tracer_type *type)
{
	const char *build = getenv("O"); /* as make and tests/run have it */
	struct bpf_object *obj;
	char path[4096];

	snprintf(path, sizeof(path), "%s/share/%s", build ? build : "build", type->object);
	obj = bpf_object__open_file(path, NULL);
	if (!obj)
		fail_msg("%s: %s: make builds it", path, strerror(errno));
	return obj;
}

static void test_tracer_programs_are_in_the_object_and_attach_where_the_table_says(void **state)
{
	static const char *const sections[] = {
		[PROBE_TRACEPOINT] = "tp_btf",   [PROBE_FENTRY] = "fentry",
		[PROBE_FEXIT] = "fexit",         [PROBE_KPROBE] = "kprobe",
		[PROBE_KRETPROBE] = "kretprobe", [PROBE_WALK] = "iter",
		[PROBE_WALK_FLOWS] = "iter",     [PROBE_SEED] = "iter"};

	(void)state;
	for (uint32_t t = TRACER_AUTO + 1; t < TRACER_COUNT; t++) {
		const struct tracer_type *type = tracer_type((enum config_tracer)t);
		struct bpf_object *obj = open_object(type);
		struct bpf_program *prog;
		uint32_t count = 0;

		for (uint32_t i = 0; i < type->probe_count; i++) {
			const struct probe *probe = &type->probes[i];
			char section[64];

			prog = bpf_object__find_program_by_name(obj, probe->program);
			if (!prog) {
				fail_msg("%s: no %s", type->object, probe->program);
				return;
			}
			snprintf(section, sizeof(section), "%s/%s", sections[probe->kind],
				 probe->hook);
			assert_string_equal(bpf_program__section_name(prog), section);
		}
		bpf_object__for_each_program(prog, obj) count++;
		assert_int_equal(count, type->probe_count);
		bpf_object__close(obj);
	}
}

static void check_map(const struct bpf_object *obj, const struct tracer_map_row *row)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(obj, row->name);

	if (!map) {
		fail_msg("no map %s", row->name);
		return;
	}
	assert_int_equal(bpf_map__type(map), row->type);
	if (row->value_size)
		assert_int_equal(bpf_map__value_size(map), row->value_size);
	if (row->max_entries)
		assert_int_equal(bpf_map__max_entries(map), row->max_entries);
}

static void test_tracer_maps_are_in_the_object(void **state)
{
	(void)state;
	for (size_t v = 0; v < COUNT(variants); v++) {
		struct bpf_object *obj = open_object(tracer_type(variants[v].tracer));
		const struct bpf_map *constants =
			bpf_object__find_map_by_name(obj, CONSTANTS_SECTION);

		for (int i = 0; i < TRACER_MAPS; i++)
			check_map(obj, tracer_map((enum tracer_map)i, variants[v].store));
		assert_non_null(constants);
		assert_int_equal(bpf_map__value_size(constants), sizeof(struct constants));
		/* The loader gives it a size whether it is used or not. */
		assert_non_null(bpf_object__find_map_by_name(obj, MAP_CONN_TABLE));
		bpf_object__close(obj);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tracer_comes_through_a_manifest),
		cmocka_unit_test(test_tracer_comes_through_with_gaps),
		cmocka_unit_test(test_tracer_inherits_but_for_the_objects_and_what_was_taken),
		cmocka_unit_test(test_tracer_inherits_nothing_where_only_the_objects_come),
		cmocka_unit_test(test_tracer_closes_what_it_has_no_place_for),
		cmocka_unit_test(test_tracer_inherits_only_what_came),
		cmocka_unit_test(test_tracer_close_leaves_nothing),
		cmocka_unit_test(test_tracer_walks_by_the_iterator_that_is_attached),
		cmocka_unit_test(test_tracer_manifest_tells_links_and_iterators_apart),
		cmocka_unit_test(test_tracer_fits_into_one_message),
		cmocka_unit_test(test_tracer_says_what_is_missing_without_an_optional_program),
		cmocka_unit_test(
			test_tracer_programs_are_in_the_object_and_attach_where_the_table_says),
		cmocka_unit_test(test_tracer_maps_are_in_the_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
