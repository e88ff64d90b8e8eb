/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-loader: loads and attaches the tracer, hands its fds to the supervisor, gives its
 * privileges up, and from then on only makes the kernel walk over the live connections.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>

#include "common/child.h"
#include "common/log.h"
#include "loader/instance.h"
#include "loader/ladder.h"
#include "loader/sandbox.h"
#include "loader/settings.h"
#include "loader/walker.h"

#define CHECK_SHARE    100u
#define ALONE_AFTER_NS 1000000000u

/* How long a new cgroup can be there before a filter that names it takes effect. */
#define CGROUPS_MS 100

struct loader {
	struct child child;
	struct msg_config config;
	struct instance_env env;
	struct ladder ladder;
	bool configured, started;
	struct walker walker;
	uint32_t lists; /* walk_lists() */
	uint32_t ticks; /* since walks take long slices */
	uint64_t check_due_ns;
	uint64_t alone_ns; /* when the takeover is over; 0 = there is none */
	int tick_fd;
	int cgroups_tick_fd;
};

/*
 * A walk over all files finds connections whose begin no program saw. It costs more than one over
 * the connections, so it is made in a hundredth of the time at most.
 */
static bool check_is_due(struct loader *loader)
{
	if (loader->walker.links[WALK_FILES][1] < 0 || loop_now_ns() < loader->check_due_ns)
		return false;
	loader->check_due_ns =
		loop_now_ns() + CHECK_SHARE * loader->walker.stats[WALK_FILES].busy_us * 1000;
	return true;
}

/* Whether whole walks take long slices, so that the one due now goes by files. */
static bool goes_by_files(struct loader *loader)
{
	const struct walker *walker = &loader->walker;
	uint64_t visits = walker->stats[WALK_WHOLE].visits;

	return loader->ladder.tracer.store == STORE_SOCKET && walker->links[WALK_FILES][1] >= 0 &&
	       visits / loader->lists >= WALK_LIST_LONG && ++loader->ticks % WALK_WHOLE_EACH;
}

static void on_tick(void *ctx, uint32_t events)
{
	struct loader *loader = ctx;

	(void)events;
	if (!loop_timer_ack(loader->tick_fd))
		return;
	if (goes_by_files(loader)) {
		walker_files(&loader->walker);
		return;
	}
	walker_whole(&loader->walker, 0);
	if (check_is_due(loader))
		walker_files(&loader->walker);
}

static int open_walker(struct loader *loader)
{
	const struct tracer *tracer = &loader->ladder.tracer;
	int flows = tracer_flow_link(tracer);

	loader->walker = (struct walker){
		.links = {[WALK_WHOLE] = {flows, tracer_walk_link(tracer)},
			  [WALK_FILES] = {flows, tracer_seed_link(tracer)}},
		.maps = loader->ladder.shared,
		.room = loader->ladder.room,
	};
	return walker_open(&loader->walker, &loader->child.loop);
}

static void on_cgroups_tick(void *ctx, uint32_t events)
{
	struct loader *loader = ctx;

	(void)events;
	if (loop_timer_ack(loader->cgroups_tick_fd))
		(void)settings_find_cgroups(&loader->ladder.shared, &loader->config.config,
					    loader->ladder.cgroups_fd);
}

static int set_timers(struct loader *loader)
{
	const struct config *config = &loader->config.config;
	uint32_t interval_ms = config->snapshot_interval_ms;
	struct loop *loop = &loader->child.loop;

	loader->tick_fd = loop_timer(loop, interval_ms, interval_ms, on_tick, loader);
	if (loader->tick_fd < 0 || !config_names_cgroups(config))
		return loader->tick_fd < 0 ? loader->tick_fd : 0;
	loader->cgroups_tick_fd = loop_timer(loop, CGROUPS_MS, CGROUPS_MS, on_cgroups_tick, loader);
	return loader->cgroups_tick_fd < 0 ? loader->cgroups_tick_fd : 0;
}

static void start(struct loader *loader)
{
	int err;

	loader->lists = walk_lists(); /* while files may be read */
	err = ladder_climb(&loader->ladder);

	if (err)
		return;
	err = open_walker(loader);
	if (!err)
		err = set_timers(loader);
	if (!err)
		err = child_ready(&loader->child);
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

/* The fd of that kind, which then is ours; -1 = none came. */
static int take_fd(const struct msg_manifest *manifest, struct dispatch_fds *fds, enum fd_kind kind)
{
	for (uint32_t i = 0; i < manifest->fd_count && i < fds->count; i++)
		if (manifest->fds[i].kind == kind)
			return dispatch_take_fd(fds, i);
	return -1;
}

static int on_start(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	const struct msg_manifest *manifest = &msg->start.manifest;
	struct loader *loader = ctx;

	if (loader->started || !loader->configured || manifest->fd_count != fds->count)
		return -EPROTO;
	loader->ladder.objects_fd = take_fd(manifest, fds, FD_OBJECTS);
	if (loader->ladder.objects_fd < 0)
		return -EPROTO;
	loader->ladder.cgroups_fd = take_fd(manifest, fds, FD_CGROUP);
	tracer_inherit(&loader->ladder.inherited, manifest, fds, FD_OBJECTS);
	loader->started = true;
	start(loader);
	return 0;
}

static int on_walk(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	(void)fds;
	walker_whole(&((struct loader *)ctx)->walker, msg->walk.id);
	return 0;
}

static int on_taken(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct loader *loader = ctx;

	(void)msg;
	(void)fds;
	loader->alone_ns = loop_now_ns() + ALONE_AFTER_NS;
	return 0;
}

/* The links of the tracer before are closed; what it had begun to deal with is long done. */
static void note_alone(struct loader *loader)
{
	if (!loader->alone_ns || loop_now_ns() < loader->alone_ns)
		return;
	settings_set_takeover(loader->ladder.shared.settings, 0);
	loader->alone_ns = 0;
}

static void on_stats(void *ctx, struct msg_stats *stats)
{
	struct loader *loader = ctx;
	const struct walk_stats *walks = &loader->walker.stats[WALK_WHOLE];
	const struct walk_stats *checks = &loader->walker.stats[WALK_FILES];
	struct msg_tracer report;

	note_alone(loader);
	stats->count = STAT_LOADER_COUNT;
	stats->values[STAT_LOADER_walks] = walks->walks;
	stats->values[STAT_LOADER_walks_failed] = walks->failed;
	stats->values[STAT_LOADER_walk_last_us] = walks->last_us;
	stats->values[STAT_LOADER_walk_longest_us] = walks->longest_us;
	stats->values[STAT_LOADER_walk_busy_us] = walks->busy_us;
	stats->values[STAT_LOADER_walk_visits] = walks->visits;
	stats->values[STAT_LOADER_walk_slices] = walks->slices;
	stats->values[STAT_LOADER_slice_worst_us] = walks->slice_worst_us;
	stats->values[STAT_LOADER_checks] = checks->walks;
	stats->values[STAT_LOADER_check_last_us] = checks->last_us;
	stats->values[STAT_LOADER_check_busy_us] = checks->busy_us;
	stats->values[STAT_LOADER_check_visits] = checks->visits;
	stats->values[STAT_LOADER_check_slice_worst_us] = checks->slice_worst_us;
	stats->values[STAT_LOADER_privileged_us] = ladder_privileged_us(&loader->ladder);
	ladder_report(&loader->ladder, &report);
	for (uint32_t i = 0; i < report.probe_count; i++)
		stats->values[STAT_LOADER_program_missed] += report.probes[i].missed;
	/* As with STATS itself: one that finds no room is missed, the next one says the same. */
	(void)child_send(&loader->child, MSG_TRACER, &report, NULL, 0);
}

static const struct dispatch_table messages = {
	.self = ROLE_LOADER,
	.handlers =
		{
			[MSG_CONFIG] = on_config,
			[MSG_START] = on_start,
			[MSG_WALK] = on_walk,
			[MSG_TAKEN] = on_taken,
		},
};

int main(void)
{
	static struct loader loader;

	/* child_init() clears the environment. */
	instance_capture(&loader.env);
	loader.ladder.child = &loader.child;
	loader.ladder.config = &loader.config;
	loader.ladder.env = &loader.env;
	loader.ladder.objects_fd = -1;
	loader.ladder.cgroups_fd = -1;
	if (child_init(&loader.child, ROLE_LOADER, &messages, &loader, sandbox_caps_allowed) == 0)
		loader.child.on_stats = on_stats;
	return child_run(&loader.child);
}
