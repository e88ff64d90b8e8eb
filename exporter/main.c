/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace-exporter: reads the ring, writes the records out, knows the live connections. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/child.h"
#include "common/log.h"
#include "exporter/ledger.h"
#include "exporter/maps.h"
#include "exporter/pump.h"
#include "exporter/sandbox.h"
#include "record/clock.h"

#define TICK_MS       100
#define SINK_WAIT_MS  20   /* in a turn: the channel must be heard */
#define DRAIN_WAIT_MS 200  /* at the end */
#define DRAIN_MS      2000 /* in all */

struct exporter {
	struct child child;
	struct pump pump;
	struct config config;
	bool configured;
	bool table; /* is what is written */
	int ring_fd;
	int tick_fd;
	int watch_fd;
};

static void end_if_broken(struct exporter *exporter, enum pump_end end)
{
	if (end == PUMP_ENDED)
		child_fail(&exporter->child, 1, EX_IOERR,
			   "output %s: its reader is gone: start conntrace with a reader that "
			   "stays, or let it write to a file (output.path)",
			   exporter->pump.sink.name);
	if (end == PUMP_DAMAGED)
		child_fail(&exporter->child, 1, EX_SOFTWARE,
			   "ring: a record's header is out of bounds: restart conntraced, and "
			   "report it if it happens again");
}

static void turn(struct exporter *exporter)
{
	const struct pump *pump = &exporter->pump;
	enum pump_end end;

	/* The rest of the ring is room for what comes meanwhile. */
	if (nat_is_awaited(&pump->nat, loop_now_ms()) &&
	    ring_used(&pump->ring) < exporter->config.ring_bytes / 2)
		return;
	end = pump_turn(&exporter->pump, SINK_WAIT_MS);
	end_if_broken(exporter, end);
	/* Edge-triggered, so that a record under way or a stuck sink doesn't keep us busy: setting
	   the source anew brings us back after whoever else is waiting. */
	if (end == PUMP_MORE)
		(void)loop_change(&exporter->child.loop, exporter->ring_fd, EPOLLIN | EPOLLET);
}

static void on_ring(void *ctx, uint32_t events)
{
	(void)events;
	turn(ctx);
}

static void on_tick(void *ctx, uint32_t events)
{
	struct exporter *exporter = ctx;

	(void)events;
	if (!loop_timer_ack(exporter->tick_fd))
		return;
	turn(exporter);
	clients_tick(&exporter->pump.clients);
	cgroups_refresh(&exporter->pump.cgroups, loop_now_ms());
}

static void on_cgroups(void *ctx, uint32_t events)
{
	struct exporter *exporter = ctx;

	(void)events;
	cgroups_refresh(&exporter->pump.cgroups, loop_now_ms());
}

static void on_clock(void *ctx, uint32_t events)
{
	struct exporter *exporter = ctx;

	(void)events;
	if (clock_was_set(exporter->watch_fd))
		exporter->pump.offset_ns = clock_offset_ns();
}

static int on_config(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct exporter *exporter = ctx;

	(void)fds;
	if (exporter->configured || config_inconsistent(&msg->config.config))
		return -EPROTO;
	exporter->config = msg->config.config;
	exporter->configured = true;
	return 0;
}

static int fail(struct exporter *exporter, int err, const char *what)
{
	child_fail(&exporter->child, 0, EX_OSERR, "%s: %s", what, strerror(-err));
	return err;
}

static const char *output_remedy(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "let the user conntraced runs as write there, or set another output.path";
	case -ELOOP:
		return "a symbolic link is not followed: name the file itself";
	case -ENXIO:
		return "start the reader of the named pipe first";
	case -EINVAL:
	case -EISDIR:
		return "name a file, a pipe or a character device";
	default:
		return "set another output.path";
	}
}

static int open_cgroups(struct exporter *exporter, int fd)
{
	struct cgroups *cgroups = &exporter->pump.cgroups;
	int err = cgroups_open(cgroups, fd, config_cgroups_max(&exporter->config), true,
			       loop_now_ms());

	if (err)
		return fail(exporter, err, "table of cgroups");
	if (cgroups->root_fd >= 0 && cgroups->watch_fd < 0)
		log_warning("cgroups: can't be watched, short-lived ones stay unknown: raise "
			    "fs.inotify.max_user_instances");
	return 0;
}

static int open_output(struct exporter *exporter, int fd, const char *kind)
{
	struct sink *sink = &exporter->pump.sink;
	const char *path = exporter->config.output_path;
	int err;

	if (strcmp(kind, "directory") == 0) {
		err = sink_open_directory(sink, fd, path);
		close(fd);
	} else {
		path = "standard output";
		err = sink_open_file(sink, fd, path);
	}
	if (err) {
		child_fail(&exporter->child, 1, EX_CANTCREAT, "output %s: %s: %s", path,
			   strerror(-err), output_remedy(err));
		return err;
	}
	exporter->table = exporter->config.output_format == FORMAT_TABLE;
	if (exporter->config.output_format == FORMAT_AUTO)
		exporter->table = isatty(sink->fd);
	tzset();
	pump_begin(&exporter->pump, exporter->table);
	return 0;
}

static int open_maps(struct exporter *exporter, int ring_fd, int counters_fd, int ledger_fd)
{
	struct pump *pump = &exporter->pump;
	int err = ring_open(&pump->ring, ring_fd, exporter->config.ring_bytes);

	if (err)
		return fail(exporter, err, "ring: its fd is not a ring of the configured size");
	err = maps_open_counters(&pump->counters, counters_fd);
	close(counters_fd);
	if (err)
		return fail(exporter, err, "counters: their fd can't be mapped as them");
	err = maps_open_ledger(&pump->ledger, ledger_fd);
	close(ledger_fd);
	if (err)
		return fail(exporter, err, "ledger: its fd can't be mapped as one");
	err = live_open(&pump->live, config_listed_max(&exporter->config));
	if (err)
		return fail(exporter, err, "table of live connections");
	clients_init(&pump->clients, &exporter->child.loop, &pump->live,
		     &pump->ledger->clients_dropped);
	return 0;
}

static int watch(struct exporter *exporter)
{
	struct loop *loop = &exporter->child.loop;
	int err;

	exporter->watch_fd = clock_watch();
	err = exporter->watch_fd < 0 ? exporter->watch_fd : 0;
	exporter->pump.offset_ns = clock_offset_ns();
	if (!exporter->pump.ledger->began_ns)
		ledger_set(&exporter->pump.ledger->began_ns,
			   loop_now_ns() + (uint64_t)exporter->pump.offset_ns);
	if (!err)
		err = loop_add(loop, exporter->watch_fd, EPOLLIN, on_clock, exporter);
	if (!err)
		err = loop_add(loop, exporter->ring_fd, EPOLLIN | EPOLLET, on_ring, exporter);
	/* Edge-triggered: what there was no credit for waits until the tick. */
	if (!err && exporter->pump.cgroups.watch_fd >= 0)
		err = loop_add(loop, exporter->pump.cgroups.watch_fd, EPOLLIN | EPOLLET, on_cgroups,
			       exporter);
	if (err)
		return err;
	exporter->tick_fd = loop_timer(loop, 1, TICK_MS, on_tick, exporter);
	return exporter->tick_fd < 0 ? exporter->tick_fd : 0;
}

/*
 * Each of these fds once, and nothing else; only the cgroups may be missing. Returns 0, or -EPROTO
 * with nothing taken.
 */
static int sort_fds(const struct msg_manifest *manifest, uint32_t fd_count,
		    uint32_t at[FD_KIND_COUNT])
{
	static const enum fd_kind needed[] = {FD_RING, FD_COUNTERS, FD_LEDGER, FD_OUTPUT};
	const uint32_t needed_count = sizeof(needed) / sizeof(needed[0]);

	memset(at, 0xff, sizeof(*at) * FD_KIND_COUNT);
	if (manifest->fd_count != fd_count)
		return -EPROTO;
	for (uint32_t i = 0; i < fd_count; i++)
		at[manifest->fds[i].kind] = i;
	for (uint32_t i = 0; i < needed_count; i++)
		if (at[needed[i]] >= fd_count)
			return -EPROTO;
	/* One of another kind, or one twice, would be one more. */
	return fd_count == needed_count + (at[FD_CGROUP] < fd_count) ? 0 : -EPROTO;
}

static int on_start(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct exporter *exporter = ctx;
	const struct msg_manifest *manifest = &msg->start.manifest;
	uint32_t at[FD_KIND_COUNT];
	const char *what;
	int err = exporter->configured ? sort_fds(manifest, fds->count, at) : -EPROTO;

	if (err)
		return err;
	exporter->ring_fd = dispatch_take_fd(fds, at[FD_RING]);
	err = open_maps(exporter, exporter->ring_fd, dispatch_take_fd(fds, at[FD_COUNTERS]),
			dispatch_take_fd(fds, at[FD_LEDGER]));
	if (!err)
		err = open_output(exporter, dispatch_take_fd(fds, at[FD_OUTPUT]),
				  manifest->fds[at[FD_OUTPUT]].name);
	/* Nor does a table show what is translated. */
	if (!err &&
	    nat_open(&exporter->pump.nat, &exporter->child.loop,
		     exporter->config.nat && !exporter->table, exporter->config.nat_max) < 0)
		return fail(exporter, -ENOMEM, "table of translated connections");
	if (!err) /* -1 if there is none; a table doesn't show them */
		err = open_cgroups(exporter,
				   exporter->table ? -1 : dispatch_take_fd(fds, at[FD_CGROUP]));
	if (err)
		return err;
	err = watch(exporter);
	if (err)
		return fail(exporter, err, "event loop");
	err = sandbox_enter(exporter->pump.cgroups.root_fd, &what);
	if (err)
		return fail(exporter, err, what);
	err = child_ready(&exporter->child);
	return err ? fail(exporter, err, "channel") : 0;
}

static int on_nat(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct exporter *exporter = ctx;
	bool any = fds->count == NAT_FDS;
	int err;

	if (!any && fds->count)
		return -EPROTO;
	/* A table doesn't show it: then they are closed unread. */
	if (!exporter->pump.nat.on)
		return 0;
	err = nat_take(&exporter->pump.nat, any ? dispatch_take_fd(fds, 0) : -1,
		       any ? dispatch_take_fd(fds, 1) : -1, msg->nat.netns);
	return err ? fail(exporter, err, "event loop") : 0;
}

static int on_client(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct exporter *exporter = ctx;

	clients_add(&exporter->pump.clients, dispatch_take_fd(fds, 0), (enum ask)msg->client.ask,
		    msg->client.walk_id);
	return 0;
}

static void on_stats(void *ctx, struct msg_stats *stats)
{
	const struct pump *pump = &((struct exporter *)ctx)->pump;

	stats->count = STAT_EXPORTER_COUNT;
	stats->values[STAT_EXPORTER_records] = pump->records;
	stats->values[STAT_EXPORTER_live] = pump->live.count;
	stats->values[STAT_EXPORTER_walk_live] = pump->walk_live;
	stats->values[STAT_EXPORTER_ring_used] = ring_used(&pump->ring);
	stats->values[STAT_EXPORTER_clients] = pump->clients.count;
	stats->values[STAT_EXPORTER_cgroups] = pump->cgroups.cache.count;
	stats->values[STAT_EXPORTER_cgroups_evicted] = pump->cgroups.evicted;
	stats->values[STAT_EXPORTER_cgroups_unknown] = pump->cgroups.unknown;
	stats->values[STAT_EXPORTER_cgroup_scans] = pump->cgroups.scans;
	stats->values[STAT_EXPORTER_nat_connections] = pump->nat.cache.count;
	stats->values[STAT_EXPORTER_nat_events] = pump->nat.events;
	stats->values[STAT_EXPORTER_nat_skipped] = pump->nat.skipped;
	stats->values[STAT_EXPORTER_nat_overruns] = pump->nat.overruns;
	stats->values[STAT_EXPORTER_nat_evicted] = pump->nat.cache.evicted;
	stats->values[STAT_EXPORTER_nat_dumped] = pump->nat.dumped;
	stats->values[STAT_EXPORTER_nat_dumps_cut] = pump->nat.dumps_cut;
}

/* Returns whether all was written. */
static bool drain(struct exporter *exporter, uint64_t deadline_ms)
{
	enum pump_end end = PUMP_MORE;

	while (end == PUMP_MORE && loop_now_ms() < deadline_ms) {
		end = pump_turn(&exporter->pump, DRAIN_WAIT_MS);
		if (end == PUMP_STUCK && exporter->pump.failing_error == -EAGAIN)
			end = PUMP_MORE;
	}
	return end == PUMP_DRY;
}

/*
 * What is in the ring now, and then what is missing. What the sink doesn't take stays in the ring
 * and untold for the next exporter.
 */
static void on_stop(void *ctx)
{
	struct exporter *exporter = ctx;
	uint64_t deadline_ms = loop_now_ms() + DRAIN_MS;

	if (exporter->child.phase != PHASE_RUNNING)
		return;
	(void)drain(exporter, deadline_ms);
	pump_tell_all(&exporter->pump);
	if (!drain(exporter, deadline_ms))
		log_warning("output %s: not all is written: %llu bytes of records are left in the "
			    "ring, for the next exporter; lost if conntraced ends",
			    exporter->pump.sink.name,
			    (unsigned long long)ring_used(&exporter->pump.ring));
}

static const struct dispatch_table table = {
	.self = ROLE_EXPORTER,
	.handlers =
		{
			[MSG_CONFIG] = on_config,
			[MSG_START] = on_start,
			[MSG_NAT] = on_nat,
			[MSG_CLIENT] = on_client,
		},
};

int main(void)
{
	static struct exporter exporter;

	if (child_init(&exporter.child, ROLE_EXPORTER, &table, &exporter, 0) == 0) {
		/* A limit on the size of files is an error of write(2), not the end. */
		(void)signal(SIGXFSZ, SIG_IGN);
		exporter.child.on_stats = on_stats;
		exporter.child.on_stop = on_stop;
	}
	return child_run(&exporter.child);
}
