/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntraced: starts, watches and restarts the other processes and keeps the tracer's fds.
 * Unprivileged from before its first child; parses nothing but our own messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/installation.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/spawn.h"
#include "supervisor/children.h"
#include "supervisor/configure.h"
#include "supervisor/control.h"
#include "supervisor/custody.h"
#include "supervisor/inherit.h"
#include "supervisor/keep.h"
#include "supervisor/nat.h"
#include "supervisor/remote.h"
#include "supervisor/supervisor.h"
#include "supervisor/upgrade.h"
#include "supervisor/upgrade_ask.h"

/* By fd, so that what is in them is found from a tree that only root may enter. */
static int open_installation(struct supervisor *sup, struct inherited *inherited)
{
	static struct installation installation;
	int err = installation_find(&installation);

	if (!err)
		err = upgrade_init(sup, inherited);
	if (err) {
		log_error("installation: the path of this program: %s", strerror(-err));
		return err;
	}
	sup->program_fd = upgrade_directory(inherited, UPGRADE_PROGRAMS, installation.programs);
	sup->object_fd = upgrade_directory(inherited, UPGRADE_OBJECTS, installation.objects);
	if (sup->program_fd >= 0 && sup->object_fd >= 0)
		return 0;
	log_error("installation: neither beside this program nor in " LIBEXECDIR " and " OBJECTDIR
		  " are the other programs and the BPF objects: install them");
	return -ENOENT;
}

/* Those of its file. */
static uint64_t loader_caps(const struct supervisor *sup)
{
	int fd = openat(sup->program_fd, "conntrace-loader", O_RDONLY | O_CLOEXEC);
	uint64_t caps = fd < 0 ? 0 : privs_of_file(fd);

	if (fd >= 0)
		close(fd);
	return caps;
}

/* What root must do while it is root, then root is given up for good. */
static int give_up_root(struct supervisor *sup)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	uid_t uid = getuid();
	gid_t gid = getgid();
	int err;

	if (geteuid() == 0 && options_user(&sup->options, &uid, &gid) < 0)
		return -EINVAL;
	err = control_prepare(sup, uid, gid);
	if (err || geteuid() != 0)
		return err;
	/* Maps count against it before 5.11; a smaller limit shows when they are created. */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	/* Nothing but what the loader's file has can come back by an exec. */
	err = privs_bound(PRIVS_LOADER | (loader_caps(sup) & PRIVS_NAT));
	if (!err)
		err = privs_drop_user(uid, gid);
	if (err)
		log_error("giving up root: %s", strerror(-err));
	return err;
}

static int harden(void)
{
	const struct rlimit no_core = {0, 0};
	char why[1200];
	int err = privs_set_caps(0, 0);

	umask(077);
	if (!err &&
	    (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0))
		err = -errno;
	if (err) {
		log_error("can't harden itself: %s", strerror(-err));
		return err;
	}
	err = privs_check(0, why, sizeof(why));
	if (err)
		log_error("%s: refusing to run", why);
	return err;
}

static void on_signal(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;

	(void)events;
	switch (loop_signal_next(sup->signal_fd)) {
	case SIGHUP:
		log_info("reload");
		/* The new one reads it anyway. */
		if (sup->upgrade.state != UPGRADE_LEAVING)
			(void)configure_reload(sup);
		break;
	case SIGUSR2:
		upgrade_begin(sup);
		break;
	case SIGTERM:
	case SIGINT:
		children_stop(sup, EX_OK);
		break;
	default:
		break;
	}
}

struct watchdog {
	struct supervisor *sup;
	int timer_fd;
};

static void on_watchdog(void *ctx, uint32_t events)
{
	struct watchdog *watchdog = ctx;

	(void)events;
	if (loop_timer_ack(watchdog->timer_fd))
		notify_send(&watchdog->sup->notify, "WATCHDOG=1");
}

static int watch_signals(struct supervisor *sup)
{
	static struct watchdog watchdog;
	sigset_t signals;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR2);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sup->signal_fd = loop_signals(&sup->loop, &signals, on_signal, sup);
	if (sup->signal_fd < 0 || !sup->notify.watchdog_ms)
		return sup->signal_fd < 0 ? sup->signal_fd : 0;
	watchdog.sup = sup;
	watchdog.timer_fd = loop_timer(&sup->loop, sup->notify.watchdog_ms, sup->notify.watchdog_ms,
				       on_watchdog, &watchdog);
	return watchdog.timer_fd < 0 ? watchdog.timer_fd : 0;
}

/* Everything up to the first child; the exit code on failure, else 0. */
static int prepare(struct supervisor *sup)
{
	static struct inherited inherited;
	int err;

	/* Root never left anything to itself. */
	inherit_take(&inherited, geteuid() != 0);
	err = configure_open(sup, sup->options.config, inherit_fd(&inherited, UPGRADE_CONFIG));
	if (err) {
		log_error("configuration %s: %s", sup->options.config, strerror(-err));
		return EX_NOINPUT;
	}
	if (open_installation(sup, &inherited) < 0)
		return EX_UNAVAILABLE;
	if (give_up_root(sup) < 0 || harden() < 0)
		return EX_NOPERM;
	err = notify_open(&sup->notify);
	if (!err)
		err = loop_init(&sup->loop);
	if (!err)
		err = watch_signals(sup);
	if (!err)
		err = children_init(sup);
	nat_init(&sup->nat);
	if (err) {
		log_error("start: %s", strerror(-err));
		return EX_OSERR;
	}
	if (!sup->options.check) {
		control_inherit(sup, inherit_fd(&inherited, UPGRADE_CONTROL));
		keep_restore(sup, &inherited);
	}
	inherit_close(&inherited);
	return 0;
}

static int run(struct supervisor *sup)
{
	int err;

	sup->started_ns = loop_now_ns();
	if (!sup->options.check && control_open(sup) < 0)
		return EX_UNAVAILABLE;
	if (configure_reload(sup) < 0) {
		control_close(sup);
		return EX_NOINPUT;
	}
	err = loop_run(&sup->loop);
	if (err) {
		log_error("event loop: %s", strerror(-err));
		sup->exit_code = EX_OSERR;
	}
	control_close(sup);
	custody_release(&sup->custody);
	nat_release(&sup->nat);
	remote_close(sup);
	loop_fini(&sup->loop);
	return sup->exit_code;
}

int main(int argc, char **argv)
{
	static struct supervisor sup;
	int code = options_parse(&sup.options, argc, argv);

	if (code >= 0)
		return code;
	if (sup.options.upgrade)
		return upgrade_ask(sup.options.socket);
	log_init("conntraced", sup.options.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	code = prepare(&sup);
	return code ? code : run(&sup);
}
