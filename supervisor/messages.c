/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/cgroupfs.h"
#include "common/grace.h"
#include "common/log.h"
#include "supervisor/children.h"
#include "supervisor/configure.h"
#include "supervisor/custody.h"
#include "supervisor/keep.h"
#include "supervisor/nat.h"
#include "supervisor/remote.h"
#include "supervisor/rollout.h"
#include "supervisor/status.h"

#define UNACCOUNTED_MS 60000u

/* --- what a child gets after its HELLO --- */

static void add_fd(struct msg_start *start, int *fds, enum fd_kind kind, const char *name, int fd)
{
	uint32_t i = start->manifest.fd_count++;

	start->manifest.fds[i].kind = kind;
	snprintf(start->manifest.fds[i].name, sizeof(start->manifest.fds[i].name), "%s", name);
	fds[i] = fd;
}

static void send_config_and_start(struct proc *proc, const struct msg_start *start, const int *fds)
{
	struct msg_config config = proc->sup->configure.current;

	if (proc->role == ROLE_EXPORTER)
		config.config.ring_bytes = proc->sup->ring_bytes;
	if (children_send(proc, MSG_CONFIG, &config, NULL, 0) == 0)
		(void)children_send(proc, MSG_START, start, fds, start->manifest.fd_count);
}

static void equip_loader(struct proc *proc)
{
	const struct custody *custody = &proc->sup->custody;
	struct msg_start start = {.manifest.identity = custody->manifest.identity,
				  .manifest.generation = custody->manifest.generation};
	int fds[PROTO_FDS_MAX], cgroup = -1;

	add_fd(&start, fds, FD_OBJECTS, "objects", proc->sup->object_fd);
	for (uint32_t i = 0; i < custody->manifest.fd_count; i++)
		add_fd(&start, fds, custody->manifest.fds[i].kind, custody->manifest.fds[i].name,
		       custody->fds[i]);
	if (config_names_cgroups(&proc->sup->configure.current.config))
		cgroup = cgroupfs_open();
	if (cgroup >= 0)
		add_fd(&start, fds, FD_CGROUP, "cgroup", cgroup);
	send_config_and_start(proc, &start, fds);
	if (cgroup >= 0)
		close(cgroup);
}

/* A child lacks something that only a person can mend. */
static void unequipped(struct proc *proc, int exit_code, const char *what, const char *path,
		       int err, const char *remedy)
{
	children_reason(proc, "%s %.150s: %s: %s", what, path, strerror(err), remedy);
	proc->exit_code = (uint32_t)exit_code;
	children_event(proc, LIFE_FATAL);
}

/* The directory of an absolute path; the path is checked, so it has a slash. */
static int open_directory_of(const char *path)
{
	char dir[CONFIG_PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	return open(dir[0] ? dir : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void equip_exporter(struct proc *proc)
{
	const struct custody *custody = &proc->sup->custody;
	const char *path = proc->sup->configure.current.config.output_path;
	bool standard = strcmp(path, "-") == 0;
	struct msg_start start = {.manifest.identity = custody->manifest.identity};
	int output = standard ? STDOUT_FILENO : open_directory_of(path);
	int fds[PROTO_FDS_MAX], cgroup;

	if (output < 0) {
		unequipped(proc, EX_CANTCREAT, "output", path, errno,
			   "create its directory, or change output.path");
		return;
	}
	add_fd(&start, fds, FD_RING, MAP_RING, custody_fd(custody, FD_RING));
	add_fd(&start, fds, FD_COUNTERS, MAP_COUNTERS, custody_fd(custody, FD_COUNTERS));
	add_fd(&start, fds, FD_LEDGER, MAP_LEDGER, custody_fd(custody, FD_LEDGER));
	add_fd(&start, fds, FD_OUTPUT, standard ? "stdout" : "directory", output);
	cgroup = cgroupfs_open();
	if (cgroup >= 0)
		add_fd(&start, fds, FD_CGROUP, "cgroup", cgroup);
	send_config_and_start(proc, &start, fds);
	if (!standard)
		close(output);
	if (cgroup >= 0)
		close(cgroup);
}

static void equip_signed(struct proc *proc)
{
	const char *path = proc->sup->configure.current.config.source.root;
	struct msg_start start = {0};
	int fds[2], root_fd, store_fd;
	int err = remote_poller_fds(proc->sup, &root_fd, &store_fd);

	if (err) {
		unequipped(proc, EX_NOINPUT, "trusted root", path, -err,
			   "install it there, or change source.root");
		return;
	}
	add_fd(&start, fds, FD_ROOT, "root", root_fd);
	add_fd(&start, fds, FD_STORE, "store", store_fd);
	send_config_and_start(proc, &start, fds);
	close(store_fd);
}

static void equip_directory(struct proc *proc)
{
	const char *path = proc->sup->configure.current.config.source.dir;
	struct msg_start start = {0};
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		unequipped(proc, EX_NOINPUT, "source directory", path, errno,
			   "create it, or change source.dir");
		return;
	}
	add_fd(&start, &fd, FD_SOURCE, "source", fd);
	send_config_and_start(proc, &start, &fd);
	close(fd);
}

static void equip_poller(struct proc *proc)
{
	if (config_signed_place(&proc->sup->configure.current.config.source)[0])
		equip_signed(proc);
	else
		equip_directory(proc);
}

static void equip_verifier(struct proc *proc)
{
	configure_send_check(proc->sup);
}

static void (*const equip[ROLE_COUNT])(struct proc *proc) = {
	[ROLE_LOADER] = equip_loader,
	[ROLE_EXPORTER] = equip_exporter,
	[ROLE_POLLER] = equip_poller,
	[ROLE_VERIFIER] = equip_verifier,
};

/* --- handlers; a child's text is escaped by the log, numbers are in their ranges already --- */

static int on_hello(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	if (msg->hello.role != proc->role || msg->hello.pid != (uint32_t)proc->pid)
		return -EPROTO;
	proc->phase = PHASE_READY;
	children_event(proc, LIFE_HELLO);
	equip[proc->role](proc);
	return 0;
}

static int on_step(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;
	struct supervisor *sup = proc->sup;

	(void)fds;
	if (proc->phase == PHASE_READY && proc->ladder_of != proc->pid) {
		proc->ladder_of = proc->pid;
		sup->ladder_count = 0;
	}
	if (sup->ladder_count == LADDER_MAX)
		return -EPROTO;
	sup->ladder[sup->ladder_count++] = msg->step;
	log_debug("loader: step %s %s: %s", msg->step.tracer, msg->step.name, msg->step.detail);
	return 0;
}

static int on_outcome(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	proc->sup->outcomes[msg->outcome.tracer][msg->outcome.outcome]++;
	return 0;
}

static int on_tracer(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	proc->sup->tracer = msg->tracer;
	return 0;
}

static int on_loaded(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;
	struct supervisor *sup = proc->sup;
	uint32_t generation = sup->custody.manifest.generation + !msg->loaded.adopted;
	int err = msg->loaded.manifest.generation == generation
			  ? custody_take(&sup->custody, &msg->loaded.manifest, fds)
			  : -EPROTO;

	if (!err && !msg->loaded.ring_kept)
		sup->ring_bytes = sup->configure.current.config.ring_bytes;
	if (!err)
		keep_store(sup);
	/* The exporter reads a ring that is no longer the tracer's: a fresh one gets the new one.
	 */
	if (!err && !msg->loaded.ring_kept && sup->procs[ROLE_EXPORTER].life.wanted) {
		/* Runs of the old programs may still write to the old ring, which it empties. */
		grace_wait();
		children_event(&sup->procs[ROLE_EXPORTER], LIFE_REPLACE);
	}
	return err;
}

static int on_nat(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	return nat_offer(proc->sup, &msg->nat, fds);
}

/*
 * A walk for the exporter's list, when both are there: to fill that of a new one, and for clients
 * that wait for a walk which an earlier loader did not make.
 */
static void ask_walk(struct supervisor *sup)
{
	struct proc *loader = &sup->procs[ROLE_LOADER];

	if (loader->life.state == LIFE_RUNNING &&
	    sup->procs[ROLE_EXPORTER].life.state == LIFE_RUNNING)
		(void)children_send(loader, MSG_WALK, &(struct msg_walk){.id = ++sup->walk_id},
				    NULL, 0);
}

static void on_loader_up(struct supervisor *sup)
{
	(void)children_send(&sup->procs[ROLE_LOADER], MSG_TAKEN, &(struct msg_taken){0}, NULL, 0);
	ask_walk(sup);
	children_event(&sup->procs[ROLE_EXPORTER], LIFE_WANT);
	if (config_polls(&sup->configure.current.config))
		children_event(&sup->procs[ROLE_POLLER], LIFE_WANT);
}

/* The first one ends the start. */
static void on_exporter_up(struct supervisor *sup)
{
	ask_walk(sup);
	nat_exporter_up(sup);
	if (sup->up)
		return;
	sup->up = true;
	log_info("tracing, configuration %u", sup->configure.current.version);
	notify_send(&sup->notify, "READY=1\nSTATUS=tracing");
}

static int on_ready(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)msg;
	(void)fds;
	if (proc->role == ROLE_LOADER && !custody_holds(&proc->sup->custody))
		return -EPROTO;
	proc->phase = PHASE_RUNNING;
	children_event(proc, LIFE_UP);
	if (proc->role == ROLE_LOADER)
		on_loader_up(proc->sup);
	if (proc->role == ROLE_EXPORTER)
		on_exporter_up(proc->sup);
	if (proc->role != ROLE_POLLER)
		rollout_look(proc->sup);
	return 0;
}

static int on_health(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	(void)msg;
	(void)fds;
	children_event(ctx, LIFE_HEALTH);
	return 0;
}

/* A person should hear of it, but not each second. */
static void warn_unaccounted(struct supervisor *sup)
{
	uint64_t counters[MSG_COUNTERS], found, now_ms = loop_now_ms();

	custody_counters(&sup->custody, counters);
	found = counters[offsetof(struct counters, unaccounted) / sizeof(uint64_t)];
	if (found == sup->unaccounted_told || now_ms < sup->unaccounted_allowed_ms)
		return;
	if (found > sup->unaccounted_told)
		log_warning("%llu connections were found open whose begin no program saw "
			    "(unaccounted in conntrace status)",
			    (unsigned long long)(found - sup->unaccounted_told));
	sup->unaccounted_told = found;
	sup->unaccounted_allowed_ms = now_ms + UNACCOUNTED_MS;
}

static int on_stats(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	if (msg->stats.count != stats_count(proc->role))
		return -EPROTO;
	proc->stats = msg->stats;
	if (proc->role == ROLE_LOADER)
		warn_unaccounted(proc->sup);
	if (proc->role == ROLE_EXPORTER)
		nat_look_at(proc->sup, &msg->stats);
	if (proc->role == ROLE_POLLER)
		remote_look_at_expiry(proc->sup);
	else
		rollout_look(proc->sup);
	return 0;
}

static int on_candidate(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	return configure_candidate(proc->sup, &msg->candidate, fds);
}

static int on_polled(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	remote_polled(proc->sup, &msg->polled);
	if (proc->sup->configure.current.config.source.report[0])
		(void)children_send(proc, MSG_SOURCE, status_source(proc->sup), NULL, 0);
	return 0;
}

static int on_keep(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	return configure_keep(proc->sup, &msg->keep);
}

static int on_checked(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	return configure_checked(proc->sup, &msg->checked);
}

static int on_fail(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct proc *proc = ctx;

	(void)fds;
	children_reason(proc, "%.250s", msg->fail.reason);
	proc->exit_code = msg->fail.exit_code;
	if (msg->fail.permanent)
		children_event(proc, LIFE_FATAL);
	return 0;
}

const struct dispatch_table messages_table = {
	.self = ROLE_SUPERVISOR,
	.handlers =
		{
			[MSG_HELLO] = on_hello,
			[MSG_STEP] = on_step,
			[MSG_OUTCOME] = on_outcome,
			[MSG_TRACER] = on_tracer,
			[MSG_LOADED] = on_loaded,
			[MSG_NAT] = on_nat,
			[MSG_READY] = on_ready,
			[MSG_HEALTH] = on_health,
			[MSG_STATS] = on_stats,
			[MSG_CANDIDATE] = on_candidate,
			[MSG_CHECKED] = on_checked,
			[MSG_KEEP] = on_keep,
			[MSG_POLLED] = on_polled,
			[MSG_FAIL] = on_fail,
			[MSG_BYE] = dispatch_ignore,
		},
};
