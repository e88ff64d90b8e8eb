/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-loader: loads and attaches the tracer, hands its fds to the supervisor, gives its
 * privileges up, and from then on only makes the kernel walk over the live connections.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/child.h"
#include "common/log.h"
#include "common/privs.h"
#include "loader/attach.h"
#include "loader/btf.h"
#include "loader/handover.h"
#include "loader/object.h"
#include "loader/sandbox.h"
#include "loader/settings.h"
#include "loader/tracer.h"
#include "loader/walk.h"

#define TRACER_NAME "tracepoint"
#define OBJECT_NAME "tracer-tracepoint.bpf.o"

struct loader {
	struct child child;
	struct msg_config config;
	bool configured, started, adopted;
	int objects_fd;
	struct object object;
	struct tracer tracer;
	struct settings *settings;
	struct walk_stats walks;
	int tick_fd;
};

/* What a step has to say about itself, beside how it ended. */
struct step_report {
	char detail[MSG_TEXT_MAX];
};

static void __attribute__((format(printf, 2, 3)))
report(struct step_report *step, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(step->detail, sizeof(step->detail), format, args);
	va_end(args);
}

static enum step_result result_of(int err)
{
	return err ? STEP_FAILED : STEP_OK;
}

static enum step_result step_privileges(struct loader *loader, struct step_report *step)
{
	(void)loader;
	return result_of(sandbox_raise(step->detail, sizeof(step->detail)));
}

static enum step_result step_btf(struct loader *loader, struct step_report *step)
{
	(void)loader;
	return result_of(btf_check_kernel(BTF_KERNEL_PATH, step->detail, sizeof(step->detail)));
}

static enum step_result step_object(struct loader *loader, struct step_report *step)
{
	int err = object_open(&loader->object, loader->objects_fd, OBJECT_NAME, step->detail,
			      sizeof(step->detail));

	if (!err)
		report(step, "%s, %zu bytes, identity %016llx", OBJECT_NAME, loader->object.len,
		       (unsigned long long)loader->object.identity);
	return result_of(err);
}

/* An earlier loader's tracer, if it is the one that would be loaded now. */
static enum step_result step_adopt(struct loader *loader, struct step_report *step)
{
	char why[MSG_TEXT_MAX / 2];

	if (!tracer_fd_count(&loader->tracer)) {
		report(step, "nothing was handed down");
		return STEP_SKIPPED;
	}
	if (handover_check(&loader->tracer, loader->object.identity,
			   loader->config.config.ring_bytes, why, sizeof(why))) {
		report(step, "what was handed down is replaced: %s", why);
		tracer_close(&loader->tracer);
		return STEP_SKIPPED;
	}
	loader->adopted = true;
	report(step, "%u fds of an earlier loader, probes never detached",
	       tracer_fd_count(&loader->tracer));
	return STEP_OK;
}

static enum step_result skip_adopted(struct step_report *step)
{
	report(step, "adopted");
	return STEP_SKIPPED;
}

static enum step_result step_load(struct loader *loader, struct step_report *step)
{
	if (loader->adopted)
		return skip_adopted(step);
	return result_of(attach_load(&loader->tracer, &loader->object,
				     loader->config.config.ring_bytes, step->detail,
				     sizeof(step->detail)));
}

static enum step_result step_settings(struct loader *loader, struct step_report *step)
{
	const struct msg_config *config = &loader->config;
	int err = settings_open(loader->tracer.fds[TRACER_SETTINGS], &loader->settings);

	if (err) {
		report(step, "map settings: %s", strerror(-err));
		return STEP_FAILED;
	}
	settings_apply(loader->settings, &config->config, config->version);
	report(step, "configuration %u, %u filters", config->version, config->config.filter_count);
	return STEP_OK;
}

static enum step_result step_attach(struct loader *loader, struct step_report *step)
{
	if (loader->adopted)
		return skip_adopted(step);
	return result_of(attach_links(&loader->tracer, step->detail, sizeof(step->detail)));
}

static enum step_result step_hand_over(struct loader *loader, struct step_report *step)
{
	struct msg_loaded loaded = {.adopted = loader->adopted};
	int fds[PROTO_FDS_MAX];
	int err;

	tracer_manifest(&loader->tracer, &loaded.manifest, fds);
	err = child_send(&loader->child, MSG_LOADED, &loaded, fds, loaded.manifest.fd_count);
	if (err)
		report(step, "send %u fds: %s", loaded.manifest.fd_count, strerror(-err));
	else
		report(step, "%u fds", loaded.manifest.fd_count);
	return result_of(err);
}

static enum step_result step_drop(struct loader *loader, struct step_report *step)
{
	char names[64];
	uint64_t left;
	int err = sandbox_drop(loader->tracer.fds[TRACER_LINK_WALK], &left);

	if (err) {
		report(step, "drop capabilities: %s", strerror(-err));
		return STEP_FAILED;
	}
	privs_caps_text(left, names, sizeof(names));
	report(step, "capabilities left: %s", names);
	return STEP_OK;
}

static enum step_result step_sandbox(struct loader *loader, struct step_report *step)
{
	int abi;
	int err = sandbox_enter(&abi);

	(void)loader;
	if (err)
		report(step, "close the sandbox: %s", strerror(-err));
	else if (abi)
		report(step, "seccomp, landlock abi %d", abi);
	else
		report(step, "seccomp; this kernel has no landlock");
	return result_of(err);
}

/* The ladder. permanent: trying again without a change cannot help. */
static const struct {
	const char *name;
	enum step_result (*run)(struct loader *loader, struct step_report *step);
	int permanent;
	int exit_code;
} ladder[] = {
	{"privileges", step_privileges, 1, EX_NOPERM},
	{"kernel btf", step_btf, 1, EX_UNAVAILABLE},
	{"object", step_object, 1, EX_NOINPUT},
	{"adopt", step_adopt, 0, EX_SOFTWARE},
	{"load", step_load, 1, EX_SOFTWARE},
	{"settings", step_settings, 0, EX_OSERR},
	{"attach", step_attach, 0, EX_OSERR},
	{"hand over", step_hand_over, 0, EX_PROTOCOL},
	{"drop", step_drop, 0, EX_OSERR},
	{"sandbox", step_sandbox, 1, EX_OSERR},
};

#define LADDER_STEPS (sizeof(ladder) / sizeof(ladder[0]))

/* Runs one step and reports it, however it ends. Returns whether the next may follow. */
static bool climb(struct loader *loader, size_t at)
{
	struct msg_step msg = {.tracer = TRACER_NAME};
	struct step_report step = {.detail = ""};
	uint64_t begin_ns = loop_now_ns();
	int err;

	msg.result = ladder[at].run(loader, &step);
	msg.duration_us = (loop_now_ns() - begin_ns) / 1000;
	snprintf(msg.name, sizeof(msg.name), "%s", ladder[at].name);
	snprintf(msg.detail, sizeof(msg.detail), "%s", step.detail);
	err = child_send(&loader->child, MSG_STEP, &msg, NULL, 0);
	if (msg.result == STEP_FAILED)
		child_fail(&loader->child, ladder[at].permanent, ladder[at].exit_code,
			   TRACER_NAME ": %s: %s", ladder[at].name, step.detail);
	else if (err)
		child_fail(&loader->child, 0, EX_PROTOCOL, "report step %s: %s", ladder[at].name,
			   strerror(-err));
	return msg.result != STEP_FAILED && !err;
}

static void walk(struct loader *loader, uint64_t walk_id)
{
	int err;

	settings_set_walk(loader->settings, walk_id);
	err = walk_run(loader->tracer.fds[TRACER_LINK_WALK], &loader->walks);
	if (err)
		log_warning("walk over the connections: %s", strerror(-err));
}

static void on_tick(void *ctx, uint32_t events)
{
	struct loader *loader = ctx;

	(void)events;
	if (loop_timer_ack(loader->tick_fd))
		walk(loader, 0);
}

static int begin_work(struct loader *loader)
{
	uint32_t interval_ms = loader->config.config.snapshot_interval_ms;

	loader->tick_fd =
		loop_timer(&loader->child.loop, interval_ms, interval_ms, on_tick, loader);
	return loader->tick_fd < 0 ? loader->tick_fd : child_ready(&loader->child);
}

static void start(struct loader *loader)
{
	int err;

	for (size_t i = 0; i < LADDER_STEPS; i++) {
		if (!climb(loader, i))
			return;
		if (ladder[i].run == step_load)
			object_close(&loader->object);
	}
	/* What libbpf took while loading goes back to the system. */
	(void)malloc_trim(0);
	err = begin_work(loader);
	if (err)
		child_fail(&loader->child, 0, EX_OSERR, "begin to work: %s", strerror(-err));
}

static int on_config(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct loader *loader = ctx;

	(void)fds;
	if (loader->started)
		return -EPROTO;
	loader->config = msg->config;
	loader->configured = true;
	return 0;
}

static int take_objects(struct loader *loader, const struct msg_manifest *manifest,
			struct dispatch_fds *fds)
{
	for (uint32_t i = 0; i < manifest->fd_count && i < fds->count; i++) {
		if (manifest->fds[i].kind != FD_OBJECTS)
			continue;
		loader->objects_fd = dispatch_take_fd(fds, i);
		return 0;
	}
	return -EPROTO;
}

static int on_start(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	const struct msg_manifest *manifest = &msg->start.manifest;
	struct loader *loader = ctx;
	int err;

	if (loader->started || !loader->configured || manifest->fd_count != fds->count)
		return -EPROTO;
	err = take_objects(loader, manifest, fds);
	if (err)
		return err;
	tracer_take(&loader->tracer, manifest, fds);
	loader->started = true;
	start(loader);
	return 0;
}

static int on_walk(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	(void)fds;
	walk(ctx, msg->walk.id);
	return 0;
}

static void on_stats(void *ctx, struct msg_stats *stats)
{
	struct loader *loader = ctx;
	const int *fds = loader->tracer.fds;

	stats->count = STAT_LOADER_COUNT;
	stats->values[STAT_LOADER_walks] = loader->walks.walks;
	stats->values[STAT_LOADER_walks_failed] = loader->walks.failed;
	stats->values[STAT_LOADER_walk_last_us] = loader->walks.last_us;
	stats->values[STAT_LOADER_walk_longest_us] = loader->walks.longest_us;
	stats->values[STAT_LOADER_program_missed] = walk_missed_runs(fds[TRACER_PROG_SET_STATE]) +
						    walk_missed_runs(fds[TRACER_PROG_DESTROY]);
}

static const struct dispatch_table messages = {
	.self = ROLE_LOADER,
	.handlers =
		{
			[MSG_CONFIG] = on_config,
			[MSG_START] = on_start,
			[MSG_WALK] = on_walk,
		},
};

int main(void)
{
	static struct loader loader;

	tracer_init(&loader.tracer);
	loader.objects_fd = -1;
	if (child_init(&loader.child, ROLE_LOADER, &messages, &loader, sandbox_caps_needed) == 0)
		loader.child.on_stats = on_stats;
	return child_run(&loader.child);
}
