/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/sandbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/landlock.h"
#include "common/seccomp.h"
#include "record/cgroups.h"

static const struct seccomp_rule allowed[] = {
	/* the channel, the clients, the sink, the log */
	SECCOMP_ALLOW(read),
	SECCOMP_ALLOW(write),
	SECCOMP_ALLOW(close),
	SECCOMP_ALLOW(sendmsg),
	SECCOMP_ALLOW(recvmsg),
	SECCOMP_ALLOW_IF(fcntl, 1, ~0u, F_GETFL),
	SECCOMP_ALLOW_IF(fcntl, 1, ~0u, F_SETFL),
	SECCOMP_ALLOW_WAITING,
	SECCOMP_ALLOW(restart_syscall),
	/* the loop */
	SECCOMP_ALLOW(epoll_ctl),
	SECCOMP_ALLOW(timerfd_create),
	SECCOMP_ALLOW(timerfd_settime),
	SECCOMP_ALLOW(clock_gettime), /* where the vDSO has none */
	/* the cgroups: directories listed and watched, no file opened */
	SECCOMP_ALLOW_IF(openat, 2, ~0u, CGROUPS_OPEN_FLAGS),
	SECCOMP_ALLOW(getdents64),
	SECCOMP_ALLOW_IF(newfstatat, 3, ~0u, CGROUPS_STAT_FLAGS),
	SECCOMP_ALLOW_IF(inotify_add_watch, 2, ~0u, CGROUPS_WATCH_MASK),
	SECCOMP_ALLOW(inotify_rm_watch),
	/* malloc in msgpack-c; nothing becomes executable */
	SECCOMP_ALLOW(brk),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW(munmap),
	SECCOMP_ALLOW(mremap),
	SECCOMP_ALLOW(madvise),
	SECCOMP_ALLOW(getrandom),
	/* the end */
	SECCOMP_ALLOW(rt_sigreturn),
	SECCOMP_ALLOW(exit),
	SECCOMP_ALLOW(exit_group),
};

int sandbox_enter(int cgroup_fd, const char **what)
{
	const struct landlock_room room = {.fd = cgroup_fd, .names = true};
	int err = landlock_apply(&room, cgroup_fd < 0 ? 0 : 1, NULL, 0);

	*what = "landlock";
	if (err < 0)
		return err;
	*what = "seccomp";
	return seccomp_apply(allowed, sizeof(allowed) / sizeof(allowed[0]));
}
