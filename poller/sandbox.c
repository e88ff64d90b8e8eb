/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/sandbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/landlock.h"
#include "common/seccomp.h"

static const struct seccomp_rule allowed[] = {
	/* the source: opened for reading only */
	SECCOMP_ALLOW_IF(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY),
	SECCOMP_ALLOW(getdents64),
	SECCOMP_ALLOW(fstat),
	SECCOMP_ALLOW(newfstatat),
	SECCOMP_ALLOW(read),
	SECCOMP_ALLOW(lseek),
	SECCOMP_ALLOW(close),
	SECCOMP_ALLOW(geteuid),
	/* the candidate */
	SECCOMP_ALLOW(memfd_create),
	SECCOMP_ALLOW(fcntl),
	SECCOMP_ALLOW(write),
	/* the channel and the loop */
	SECCOMP_ALLOW(sendmsg),
	SECCOMP_ALLOW(recvmsg),
	SECCOMP_ALLOW(poll),
	SECCOMP_ALLOW(epoll_ctl),
	SECCOMP_ALLOW(epoll_wait),
	SECCOMP_ALLOW(epoll_pwait),
	SECCOMP_ALLOW(timerfd_create),
	SECCOMP_ALLOW(timerfd_settime),
	SECCOMP_ALLOW(restart_syscall),
	SECCOMP_ALLOW(clock_gettime), /* where the vDSO has none */
	/* malloc; nothing becomes executable */
	SECCOMP_ALLOW(brk),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW(munmap),
	SECCOMP_ALLOW(mremap),
	SECCOMP_ALLOW(getrandom),
	/* the end */
	SECCOMP_ALLOW(rt_sigreturn),
	SECCOMP_ALLOW(exit),
	SECCOMP_ALLOW(exit_group),
};

int sandbox_enter(int dir_fd, const char **what)
{
	const struct landlock_room room = {.fd = dir_fd};
	int err = landlock_apply(&room, 1, true);

	*what = "landlock";
	if (err < 0)
		return err;
	*what = "seccomp";
	return seccomp_apply(allowed, sizeof(allowed) / sizeof(allowed[0]));
}
