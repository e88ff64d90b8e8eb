/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/spawn.h"
#include "supervisor/children.h"
#include "supervisor/keep.h"

#define TRIAL_MS 20000u /* a verifier may take 5 s of CPU time */

/* --- directories --- */

static bool is_there(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink > 0;
}

int upgrade_directory(struct inherited *inherited, const char *name, const char *path)
{
	int fd = inherit_fd(inherited, name);

	if (fd >= 0 && is_there(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : spawn_move_fd(fd);
}

int upgrade_init(struct supervisor *sup, struct inherited *inherited)
{
	struct upgrade *upgrade = &sup->upgrade;
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (len < 0)
		return -errno;
	path[len] = '\0';
	slash = strrchr(path, '/');
	if (!slash || strlen(slash + 1) >= sizeof(upgrade->name))
		return -ENAMETOOLONG;
	snprintf(upgrade->name, sizeof(upgrade->name), "%s", slash + 1);
	*slash = '\0';
	upgrade->pidfd = -1;
	upgrade->timer_fd = -1;
	upgrade->self_fd = upgrade_directory(inherited, UPGRADE_SELF, path[0] ? path : "/");
	return upgrade->self_fd < 0 ? upgrade->self_fd : 0;
}

/* --- what goes over --- */

static int add_directories(const struct supervisor *sup, struct inherited *list)
{
	int err = inherit_add(list, UPGRADE_CONFIG, sup->configure.dir_fd);

	if (!err)
		err = inherit_add(list, UPGRADE_PROGRAMS, sup->program_fd);
	if (!err)
		err = inherit_add(list, UPGRADE_OBJECTS, sup->object_fd);
	if (!err)
		err = inherit_add(list, UPGRADE_SELF, sup->upgrade.self_fd);
	return err;
}

static int add_tracer(const struct supervisor *sup, struct inherited *list)
{
	const struct msg_manifest *manifest = &sup->custody.manifest;
	char name[INHERIT_NAME_MAX];
	int err = 0, fd;

	for (uint32_t i = 0; i < manifest->fd_count && !err; i++) {
		keep_name(name, manifest->generation, i);
		err = inherit_add(list, name, sup->custody.fds[i]);
	}
	if (err || !manifest->fd_count)
		return err;
	fd = keep_manifest(&sup->custody, sup->ring_bytes);
	if (fd < 0)
		return fd;
	keep_manifest_name(name, manifest->generation);
	err = inherit_add(list, name, fd);
	if (err)
		close(fd);
	return err;
}

/* Executes what is installed; returns only a negative errno. */
static int execute(const struct supervisor *sup, const struct inherited *list, char **argv)
{
	static char text[INHERIT_MAX * (INHERIT_NAME_MAX + 12)];
	int err = inherit_text(list, text, sizeof(text));

	if (!err && setenv(INHERIT_VARIABLE, text, 1) < 0)
		err = -errno;
	if (!err)
		err = inherit_pass(list, true);
	if (!err) {
		syscall(SYS_execveat, sup->upgrade.self_fd, sup->upgrade.name, argv, environ, 0);
		err = -errno;
	}
	(void)inherit_pass(list, false);
	unsetenv(INHERIT_VARIABLE);
	return err;
}

/* --- the trial --- */

static void __attribute__((format(printf, 2, 3)))
refuse(struct supervisor *sup, const char *format, ...)
{
	struct upgrade *upgrade = &sup->upgrade;
	char why[MSG_TEXT_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	upgrade->state = UPGRADE_NONE;
	snprintf(upgrade->last, sizeof(upgrade->last), "upgrade %u refused: %s", upgrade->count,
		 why);
	log_error("%s: this conntraced goes on", upgrade->last);
}

/* In the child; does not return. */
static void try_installed(const struct supervisor *sup)
{
	static struct inherited list;
	static char check[] = "--check";
	char *argv[OPTIONS_ARGS_MAX + 2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;
	int argc = 0, err;

	while (argc < OPTIONS_ARGS_MAX && sup->options.argv[argc]) {
		argv[argc] = sup->options.argv[argc];
		argc++;
	}
	argv[argc] = check;
	argv[argc + 1] = NULL;
	sigemptyset(&none);
	/* What it says of itself is not for the service manager. */
	unsetenv("NOTIFY_SOCKET");
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setsid() < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		_exit(SPAWN_EXEC_FAILED);
	err = add_directories(sup, &list);
	if (!err)
		err = execute(sup, &list, argv);
	log_error("execute %s: %s", sup->upgrade.name, strerror(-err));
	_exit(SPAWN_EXEC_FAILED);
}

static void leave(struct supervisor *sup)
{
	sup->upgrade.state = UPGRADE_LEAVING;
	log_info("upgrade: what is installed is well; the children end, then it is executed");
	children_pause(sup);
	upgrade_next(sup);
}

static void forget_trial(struct supervisor *sup)
{
	struct upgrade *upgrade = &sup->upgrade;

	(void)loop_timer_set(upgrade->timer_fd, 0, 0);
	loop_remove(&sup->loop, upgrade->pidfd);
	close(upgrade->pidfd);
	upgrade->pidfd = -1;
}

static void on_trial_end(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;
	siginfo_t info = {0};

	(void)events;
	if (waitid(P_PIDFD, (id_t)sup->upgrade.pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
		return;
	forget_trial(sup);
	if (sup->stopping)
		return;
	if (info.si_code == CLD_EXITED && info.si_status == 0)
		leave(sup);
	else if (info.si_code == CLD_EXITED && info.si_status == SPAWN_EXEC_FAILED)
		refuse(sup, "%.64s can't be executed: install it", sup->upgrade.name);
	else if (info.si_code == CLD_EXITED)
		refuse(sup, "%.64s --check of what is installed exited with %d: see the log",
		       sup->upgrade.name, info.si_status);
	else
		refuse(sup, "%.64s --check of what is installed was killed by signal %d",
		       sup->upgrade.name, info.si_status);
}

static void on_trial_timer(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;

	(void)events;
	if (loop_timer_ack(sup->upgrade.timer_fd) && sup->upgrade.pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, sup->upgrade.pidfd, SIGKILL, NULL, 0);
}

static int watch_trial(struct supervisor *sup, pid_t pid)
{
	struct upgrade *upgrade = &sup->upgrade;
	int err;

	upgrade->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (upgrade->pidfd < 0)
		return -errno;
	err = loop_add(&sup->loop, upgrade->pidfd, EPOLLIN, on_trial_end, sup);
	if (!err && upgrade->timer_fd < 0)
		upgrade->timer_fd = loop_timer(&sup->loop, 0, 0, on_trial_timer, sup);
	if (!err && upgrade->timer_fd < 0)
		err = upgrade->timer_fd;
	return err ? err : loop_timer_set(upgrade->timer_fd, TRIAL_MS, 0);
}

void upgrade_begin(struct supervisor *sup)
{
	struct upgrade *upgrade = &sup->upgrade;
	pid_t pid;
	int err;

	if (sup->stopping || upgrade->state != UPGRADE_NONE) {
		log_warning("upgrade: not now, %s",
			    sup->stopping ? "it stops" : "one is under way");
		return;
	}
	upgrade->count++;
	if (!sup->up) {
		refuse(sup, "it does not trace yet");
		return;
	}
	log_info("upgrade: trying what is installed");
	pid = fork();
	if (pid == 0)
		try_installed(sup);
	err = pid < 0 ? -errno : watch_trial(sup, pid);
	if (!err) {
		upgrade->state = UPGRADE_TRYING;
		return;
	}
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		forget_trial(sup);
	}
	refuse(sup, "can't try what is installed: %s", strerror(-err));
}

/* --- going --- */

void upgrade_next(struct supervisor *sup)
{
	static struct inherited list;
	int err;

	if (sup->upgrade.state != UPGRADE_LEAVING || !children_are_idle(sup))
		return;
	list.count = 0;
	err = add_directories(sup, &list);
	if (!err)
		err = inherit_add(&list, UPGRADE_CONTROL, sup->control.fd);
	if (!err)
		err = add_tracer(sup, &list);
	if (!err)
		err = execute(sup, &list, sup->options.argv);
	refuse(sup, "execute %.64s: %s", sup->upgrade.name, strerror(-err));
	children_resume(sup);
}
