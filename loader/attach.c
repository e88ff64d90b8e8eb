/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/event.h"
#include "loader/procfs.h"

#define KPROBE_PMU_PATH "/sys/bus/event_source/devices/kprobe/type"

#define PMU_CONFIG_RETURN 1u /* "config:0" of format/retprobe there */

/* One line, "processed N insns ...", is all that the verifier is asked for at first. */
#define LOG_STATISTICS 4u
#define STATISTICS_MAX 4096u

/*
 * The programs' log comes here when the verifier refuses one; its end says why. Before Linux 6.4 a
 * log that does not fit hides the reason: the program is refused for that (ENOSPC). So this is as
 * much as any kernel takes; only what is written takes memory.
 */
static char verifier_log[(16u << 20) - 1];

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
	if (verdict) {
		snprintf(why, cap, "the kernel's verifier refused: %s", verdict);
		return -EACCES;
	}
	snprintf(why, cap, "%s%s%s", cause, first_warning[0] ? ": " : "", first_warning);
	return err == -EACCES ? -EPERM : err;
}

/* --- an object opened and made as the options say --- */

/* -EINVAL also when the section is of another size: an object of another version. */
static int set_constants(struct bpf_object *obj, const struct manager_options *options)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, CONSTANTS_SECTION);

	return map ? bpf_map__set_initial_value(map, &options->constants,
						sizeof(options->constants))
		   : -ENOENT;
}

static int set_entries(struct bpf_object *obj, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map ? bpf_map__set_max_entries(map, entries) : -ENOENT;
}

static int set_program(struct bpf_object *obj, const struct manager_options *options, uint32_t i)
{
	const struct probe *probe = &options->type->probes[i];
	struct bpf_program *prog = bpf_object__find_program_by_name(obj, probe->program);
	int err = prog ? bpf_program__set_autoload(prog, plan_has(&options->plan, i)) : -ENOENT;

	if (!err && options->plan.kprobe == KPROBE_MULTI &&
	    (probe->kind == PROBE_KPROBE || probe->kind == PROBE_KRETPROBE))
		err = bpf_program__set_expected_attach_type(prog, BPF_TRACE_KPROBE_MULTI);
	return err;
}

static int set_options(struct bpf_object *obj, const struct manager_options *options)
{
	int err = set_entries(obj, MAP_RING, options->ring_bytes);

	if (!err)
		err = set_entries(obj, MAP_CONN_TABLE, options->table_entries);
	if (!err)
		err = set_entries(obj, MAP_FLOW_TABLE, options->flow_entries);
	if (!err)
		err = set_entries(obj, MAP_FLOW_SOCKETS, options->flow_entries);
	if (!err)
		err = set_constants(obj, options);
	for (uint32_t i = 0; i < options->type->probe_count && !err; i++)
		err = set_program(obj, options, i);
	return err;
}

static struct bpf_object *open_object(struct manager *manager, const struct attach_from *from,
				      char *why, size_t cap, int *err)
{
	const struct object *object = from->object;
	const struct btf_choice *btf = from->btf;
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "conntrace",
		    .btf_custom_path = btf->path[0] ? btf->path : NULL,
		    .kernel_log_buf = verifier_log, .kernel_log_size = sizeof(verifier_log));
	struct bpf_object *obj = bpf_object__open_mem(object->bytes, object->len, &opts);

	if (!obj) {
		*err = explain(-errno, why, cap);
		return NULL;
	}
	*err = set_options(obj, &manager->options);
	if (*err)
		snprintf(why, cap, "the object is not this version's: reinstall conntrace");
	else
		*err = reuse_maps(obj, from->old, &manager->reuse);
	if (!*err)
		return obj;
	if (!why[0])
		snprintf(why, cap, "maps of the tracer before: %s", strerror(-*err));
	bpf_object__close(obj);
	return NULL;
}

/* --- loading --- */

static int fd_of(const struct bpf_object *obj, uint32_t fd_kind, const char *name)
{
	const struct bpf_program *prog;

	if (fd_kind != FD_PROGRAM)
		return bpf_object__find_map_fd_by_name(obj, name);
	prog = bpf_object__find_program_by_name(obj, name);
	return prog ? bpf_program__fd(prog) : -ENOENT;
}

/* Our own copy: libbpf's go with its object, and with that most of the memory it took. */
static int take_fd(const struct bpf_object *obj, uint32_t fd_kind, const char *name, int *out,
		   char *why, size_t cap)
{
	int fd = fd_of(obj, fd_kind, name);

	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		int err = fd == -1 ? -errno : fd;

		snprintf(why, cap, "%s: not in the object or no fd left: %s", name, strerror(-err));
		return err;
	}
	*out = fd;
	return 0;
}

static int take_fds(struct tracer *tracer, const struct manager *manager,
		    const struct bpf_object *obj, char *why, size_t cap)
{
	const struct manager_options *options = &manager->options;
	int err = 0;

	for (int i = 0; i < TRACER_MAPS && !err; i++) {
		const struct tracer_map_row *row = tracer_map((enum tracer_map)i, tracer->store);

		err = take_fd(obj, row->fd_kind, row->name, &tracer->maps[i], why, cap);
	}
	for (uint32_t i = 0; i < options->type->probe_count && !err; i++)
		if (plan_has(&options->plan, i))
			err = take_fd(obj, FD_PROGRAM, options->type->probes[i].program,
				      &tracer->programs[i], why, cap);
	return err;
}

/* The line that the verifier wrote of each program. */
struct statistics {
	char text[TRACER_PROBES_MAX][STATISTICS_MAX];
};

static void ask_statistics(struct bpf_object *obj, const struct tracer_type *type,
			   struct statistics *statistics)
{
	for (uint32_t i = 0; i < type->probe_count; i++) {
		struct bpf_program *prog =
			bpf_object__find_program_by_name(obj, type->probes[i].program);

		(void)bpf_program__set_log_level(prog, LOG_STATISTICS);
		(void)bpf_program__set_log_buf(prog, statistics->text[i], STATISTICS_MAX);
	}
}

static void read_statistics(struct manager *manager, const struct statistics *statistics)
{
	for (uint32_t i = 0; i < manager->options.type->probe_count; i++) {
		const char *line = strstr(statistics->text[i], "processed ");

		if (line)
			manager->probes[i].verified_insns =
				(uint32_t)strtoul(line + strlen("processed "), NULL, 10);
	}
}

/*
 * Twice if need be: asked for its statistics alone the verifier doesn't say why it refuses, so then
 * it is asked again.
 */
static int load(struct manager *manager, struct tracer *tracer, const struct attach_from *from,
		bool explained, char *why, size_t cap)
{
	struct statistics *statistics = calloc(1, sizeof(*statistics));
	struct bpf_object *obj;
	int err = -ENOMEM;

	if (!statistics)
		return err;
	verifier_log[0] = '\0';
	first_warning[0] = '\0';
	why[0] = '\0';
	obj = open_object(manager, from, why, cap, &err);
	if (obj) {
		if (!explained)
			ask_statistics(obj, manager->options.type, statistics);
		err = bpf_object__load(obj);
		if (err)
			err = explain(err, why, cap);
		else
			err = take_fds(tracer, manager, obj, why, cap);
		if (!err)
			read_statistics(manager, statistics);
		bpf_object__close(obj);
	}
	free(statistics);
	return err;
}

int attach_load(struct manager *manager, struct tracer *tracer, const struct attach_from *from,
		char *why, size_t cap)
{
	int err;

	tracer->type = manager->options.type;
	tracer->store = manager->options.plan.store;
	libbpf_set_print(on_libbpf);
	err = load(manager, tracer, from, false, why, cap);
	if (err) {
		tracer_close(tracer);
		tracer->type = manager->options.type;
		tracer->store = manager->options.plan.store;
		err = load(manager, tracer, from, true, why, cap);
	}
	if (err)
		tracer_close(tracer);
	else
		tracer->identity = from->object->identity;
	return err;
}

/* --- attaching: each way gives an fd that keeps the program attached, or a negative errno --- */

/* A program on its way to its hook. */
struct site {
	const struct probe *probe;
	int prog_fd;
	int map_fd; /* what a walk goes through */
	enum plan_kprobe kprobe;
};

static int attach_tracing(const struct site *site)
{
	int fd = bpf_raw_tracepoint_open(NULL, site->prog_fd);

	return fd < 0 ? -errno : fd;
}

static int attach_walk(const struct site *site)
{
	union bpf_iter_link_info info = {.map = {.map_fd = (uint32_t)site->map_fd}};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	int fd = bpf_link_create(site->prog_fd, 0, BPF_TRACE_ITER, &opts);

	return fd < 0 ? -errno : fd;
}

static int attach_seed(const struct site *site)
{
	int fd = bpf_link_create(site->prog_fd, 0, BPF_TRACE_ITER, NULL);

	return fd < 0 ? -errno : fd;
}

static bool returns(const struct site *site)
{
	return site->probe->kind == PROBE_KRETPROBE;
}

static int attach_kprobe_multi(const struct site *site)
{
	const char *symbols[] = {site->probe->hook};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .kprobe_multi.syms = symbols, .kprobe_multi.cnt = 1,
		    .kprobe_multi.flags = returns(site) ? BPF_F_KPROBE_MULTI_RETURN : 0);
	int fd = bpf_link_create(site->prog_fd, 0, BPF_TRACE_KPROBE_MULTI, &opts);

	return fd < 0 ? -errno : fd;
}

static int open_kprobe_event(const struct site *site)
{
	int32_t type = procfs_number(KPROBE_PMU_PATH);
	struct perf_event_attr attr = {
		.type = (uint32_t)type,
		.size = sizeof(attr),
		.config = returns(site) ? PMU_CONFIG_RETURN : 0,
		.config1 = (uint64_t)(uintptr_t)site->probe->hook,
	};
	int fd;

	if (type < 0)
		return -EOPNOTSUPP;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The program on a perf event, which a link keeps open. */
static int attach_kprobe_link(const struct site *site)
{
	int event = open_kprobe_event(site);
	int link, err;

	if (event < 0)
		return event;
	link = bpf_link_create(site->prog_fd, event, BPF_PERF_EVENT, NULL);
	err = link < 0 || ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0 ? -errno : 0;
	close(event);
	if (err && link >= 0)
		close(link);
	return err ? err : link;
}

/* The same before there were such links: the event is what is kept open. */
static int attach_kprobe_event(const struct site *site)
{
	int event = open_kprobe_event(site);
	int err;

	if (event < 0)
		return event;
	if (ioctl(event, PERF_EVENT_IOC_SET_BPF, site->prog_fd) == 0 &&
	    ioctl(event, PERF_EVENT_IOC_ENABLE, 0) == 0)
		return event;
	err = -errno;
	close(event);
	return err;
}

static int attach_kprobe(const struct site *site)
{
	static int (*const ways[])(const struct site *site) = {
		[KPROBE_MULTI] = attach_kprobe_multi,
		[KPROBE_LINK] = attach_kprobe_link,
		[KPROBE_PERF] = attach_kprobe_event,
	};

	return ways[site->kprobe](site);
}

static int (*const attach_by_kind[])(const struct site *site) = {
	[PROBE_TRACEPOINT] = attach_tracing, [PROBE_FENTRY] = attach_tracing,
	[PROBE_FEXIT] = attach_tracing,      [PROBE_KPROBE] = attach_kprobe,
	[PROBE_KRETPROBE] = attach_kprobe,   [PROBE_WALK] = attach_walk,
	[PROBE_WALK_FLOWS] = attach_walk,    [PROBE_SEED] = attach_seed,
};

static bool passes(int err)
{
	return err == -EAGAIN || err == -EBUSY || err == -EINTR || err == -ENOMEM;
}

static int attach_patiently(const struct manager_options *options, const struct site *site)
{
	struct timespec wait = {.tv_nsec = (long)options->attach_wait_ms * 1000000};
	int fd = -EAGAIN;

	for (uint32_t tried = 0; tried < options->attach_tries && passes(fd); tried++) {
		if (tried)
			(void)nanosleep(&wait, NULL);
		fd = attach_by_kind[site->probe->kind](site);
	}
	return fd;
}

int attach_links(struct manager *manager, struct tracer *tracer, char *why, size_t cap)
{
	const struct manager_options *options = &manager->options;
	int left_out = 0;
	size_t at = 0;

	why[0] = '\0';
	for (uint32_t i = 0; i < options->type->probe_count; i++) {
		const struct probe *probe = &options->type->probes[i];
		struct probe_status *status = &manager->probes[i];
		enum tracer_map walked =
			probe->kind == PROBE_WALK_FLOWS ? TRACER_FLOWS : TRACER_CONNECTIONS;
		struct site site = {probe, tracer->programs[i], tracer->maps[walked],
				    options->plan.kprobe};
		int fd;

		if (!plan_has(&options->plan, i))
			continue;
		fd = attach_patiently(options, &site);
		status->state = fd < 0 ? PROBE_FAILED : PROBE_ATTACHED;
		status->err = fd < 0 ? -fd : 0;
		tracer->links[i] = fd < 0 ? -1 : fd;
		if (fd < 0 && probe->required) {
			snprintf(why, cap, "attach %s: %s", probe->hook, strerror(-fd));
			return fd;
		}
		if (fd < 0 && at < cap) {
			left_out++;
			at += (size_t)snprintf(why + at, cap - at, "%sno %s (%s): %s",
					       at ? "; " : "", probe->hook, strerror(-fd),
					       probe->without);
		}
	}
	return left_out;
}
