/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bpf/event.h"

/* The programs' log comes here when the verifier refuses one; its end says why. */
static char verifier_log[65536];

/* libbpf reports to a callback that has no context: its first warning, the cause of the others. */
static char first_warning[MSG_TEXT_MAX];

static void strip_newlines(char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	for (; *text; text++)
		if (*text == '\n')
			*text = ' ';
}

static int __attribute__((format(printf, 2, 0)))
on_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_WARN || first_warning[0])
		return 0;
	vsnprintf(first_warning, sizeof(first_warning), format, args);
	strip_newlines(first_warning);
	return 0;
}

/* The verifier's verdict stands before its closing statistics. */
static const char *verifier_verdict(void)
{
	char *end = strstr(verifier_log, "\nprocessed ");
	char *line;

	if (!end)
		return NULL;
	*end = '\0';
	line = strrchr(verifier_log, '\n');
	return line ? line + 1 : verifier_log;
}

static int explain(int err, char *why, size_t cap)
{
	const char *verdict = verifier_verdict();
	char cause[64];

	/* libbpf has error numbers of its own beside errno's. */
	libbpf_strerror(err, cause, sizeof(cause));
	if (verdict)
		snprintf(why, cap, "the kernel's verifier refused: %s", verdict);
	else
		snprintf(why, cap, "%s%s%s", cause, first_warning[0] ? ": " : "", first_warning);
	return err;
}

/* -EINVAL also when the section is of another size: an object of another version. */
static int set_constants(struct bpf_object *obj, uint32_t ring_bytes)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, CONSTANTS_SECTION);
	struct constants constants = {
		.ring_wakeup_bytes = ring_bytes / 4,
		.ring_defer_bytes = ring_bytes / 2,
	};

	return map ? bpf_map__set_initial_value(map, &constants, sizeof(constants)) : -ENOENT;
}

static int set_sizes(struct bpf_object *obj, uint32_t ring_bytes)
{
	struct bpf_map *ring = bpf_object__find_map_by_name(obj, MAP_RING);
	int err = ring ? bpf_map__set_max_entries(ring, ring_bytes) : -ENOENT;

	return err ? err : set_constants(obj, ring_bytes);
}

static int fd_of(const struct bpf_object *obj, const struct tracer_row *row)
{
	const struct bpf_program *prog;

	if (row->kind != FD_PROGRAM)
		return bpf_object__find_map_fd_by_name(obj, row->name);
	prog = bpf_object__find_program_by_name(obj, row->name);
	return prog ? bpf_program__fd(prog) : -ENOENT;
}

/* Our own copies: libbpf's go with its object, and with that most of the memory it took. */
static int take_fds(struct tracer *tracer, const struct bpf_object *obj, char *why, size_t cap)
{
	for (int i = 0; i < TRACER_FD_COUNT; i++) {
		const struct tracer_row *row = tracer_row((enum tracer_fd)i);
		int fd;

		if (row->kind == FD_LINK || row->kind == FD_ITER)
			continue;
		fd = fd_of(obj, row);
		if (fd >= 0)
			fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			int err = fd == -1 ? -errno : fd;

			snprintf(why, cap, "%s: not in the object or no fd left: %s", row->name,
				 strerror(-err));
			return err;
		}
		tracer->fds[i] = fd;
	}
	return 0;
}

static int load(struct tracer *tracer, struct bpf_object *obj, uint32_t ring_bytes, char *why,
		size_t cap)
{
	int err = set_sizes(obj, ring_bytes);

	if (err) {
		snprintf(why, cap, "the object is not this version's: reinstall conntrace");
		return err;
	}
	err = bpf_object__load(obj);
	return err ? explain(err, why, cap) : take_fds(tracer, obj, why, cap);
}

int attach_load(struct tracer *tracer, const struct object *object, uint32_t ring_bytes, char *why,
		size_t cap)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "conntrace",
		    .kernel_log_buf = verifier_log, .kernel_log_size = sizeof(verifier_log));
	struct bpf_object *obj;
	int err;

	verifier_log[0] = '\0';
	first_warning[0] = '\0';
	libbpf_set_print(on_libbpf);
	obj = bpf_object__open_mem(object->bytes, object->len, &opts);
	if (!obj)
		return explain(-errno, why, cap);
	err = load(tracer, obj, ring_bytes, why, cap);
	bpf_object__close(obj);
	if (err)
		tracer_close(tracer);
	else
		tracer->identity = object->identity;
	return err;
}

static int link_iterator(int prog_fd, int map_fd)
{
	union bpf_iter_link_info info = {.map = {.map_fd = (uint32_t)map_fd}};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));

	return bpf_link_create(prog_fd, 0, BPF_TRACE_ITER, &opts);
}

int attach_links(struct tracer *tracer, char *why, size_t cap)
{
	for (int i = 0; i < TRACER_FD_COUNT; i++) {
		const struct tracer_row *row = tracer_row((enum tracer_fd)i);
		int prog_fd = tracer->fds[row->program];

		if (row->kind == FD_ITER)
			tracer->fds[i] = link_iterator(prog_fd, tracer->fds[TRACER_CONNECTIONS]);
		else if (row->kind == FD_LINK)
			tracer->fds[i] = bpf_raw_tracepoint_open(NULL, prog_fd);
		else
			continue;
		if (tracer->fds[i] < 0) {
			int err = -errno;

			tracer->fds[i] = -1;
			snprintf(why, cap, "attach %s: %s", row->name, strerror(-err));
			return err;
		}
	}
	return 0;
}
