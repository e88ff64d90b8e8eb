/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/sandbox.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/landlock.h"
#include "common/privs.h"
#include "common/seccomp.h"

const uint64_t sandbox_caps_needed = PRIVS_LOADER;
const uint64_t sandbox_caps_allowed = PRIVS_LOADER | PRIVS_NAT;

/* The channel, the loop, the log, memory, the walk. */
static const struct seccomp_rule allowed[] = {
	SECCOMP_ALLOW_WAITING,
	SECCOMP_ALLOW(epoll_ctl),
	SECCOMP_ALLOW(timerfd_create),
	SECCOMP_ALLOW(timerfd_settime),
	SECCOMP_ALLOW(clock_gettime),
	SECCOMP_ALLOW(clock_nanosleep),
	SECCOMP_ALLOW(sendmsg),
	SECCOMP_ALLOW(recvmsg),
	SECCOMP_ALLOW(read),
	SECCOMP_ALLOW(write),
	SECCOMP_ALLOW(writev),
	SECCOMP_ALLOW(close),
	SECCOMP_ALLOW(fstat),
	SECCOMP_ALLOW(newfstatat),
	SECCOMP_ALLOW(lseek),
	SECCOMP_ALLOW(brk),
	SECCOMP_ALLOW(munmap),
	SECCOMP_ALLOW(mremap),
	SECCOMP_ALLOW(madvise),
	SECCOMP_ALLOW(getrandom),
	SECCOMP_ALLOW(getpid),
	SECCOMP_ALLOW(restart_syscall),
	SECCOMP_ALLOW(rt_sigreturn),
	SECCOMP_ALLOW(exit),
	SECCOMP_ALLOW(exit_group),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW_IF(mprotect, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW_IF(bpf, 0, ~0u, BPF_ITER_CREATE),
	SECCOMP_ALLOW_IF(bpf, 0, ~0u, BPF_OBJ_GET_INFO_BY_FD),
};

int sandbox_raise(uint64_t keep, char *why, size_t cap)
{
	struct privs now;
	int err = privs_read(&now);

	if (err) {
		snprintf(why, cap, "own privileges can't be read: %s", strerror(-err));
		return err;
	}
	if ((now.permitted & sandbox_caps_needed) != sandbox_caps_needed) {
		snprintf(why, cap,
			 "lacks cap_bpf and cap_perfmon: " PRIVS_LOADER_SETCAP " on "
			 "conntrace-loader, on a file system without nosuid%s",
			 now.no_new_privs ? "; no_new_privs is set: start conntraced without it"
					  : "");
		return -EPERM;
	}
	err = privs_set_caps(sandbox_caps_needed | (now.permitted & keep), sandbox_caps_needed);
	if (err)
		snprintf(why, cap, "cap_bpf and cap_perfmon can't be raised: %s", strerror(-err));
	return err;
}

int sandbox_raise_kept(uint64_t kept)
{
	const uint64_t caps = sandbox_caps_needed | kept;

	return privs_set_caps(caps, caps);
}

int sandbox_drop_kept(void)
{
	return privs_set_caps(sandbox_caps_needed, sandbox_caps_needed);
}

int sandbox_drop(int iter_link_fd, uint64_t *left)
{
	struct privs now;
	uint64_t keep = 0;
	int err = privs_set_caps(sandbox_caps_needed, 0);
	int fd;

	if (err)
		return err;
	fd = iter_link_fd < 0 ? -1 : bpf_iter_create(iter_link_fd);
	if (fd >= 0)
		close(fd);
	else if (iter_link_fd >= 0)
		keep = PRIVS_CAP(CAP_BPF);
	err = privs_set_caps(keep, keep);
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	if (!err)
		err = privs_read(&now);
	if (err)
		return err;
	*left = now.permitted | now.effective | now.inheritable | now.ambient;
	return now.no_new_privs == 1 ? 0 : -EPERM;
}

int sandbox_enter(int *landlock_abi)
{
	*landlock_abi = landlock_apply(NULL, 0, NULL, 0);
	if (*landlock_abi < 0)
		return *landlock_abi;
	return seccomp_apply(allowed, sizeof(allowed) / sizeof(allowed[0]));
}
