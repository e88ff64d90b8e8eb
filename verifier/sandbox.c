/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "common/landlock.h"
#include "common/seccomp.h"

/* A check takes milliseconds; text that makes it take longer is an attack. */
#define CPU_SECONDS 5

static const struct seccomp_rule rules[] = {
	/* the channel and the loop */
	SECCOMP_ALLOW_WAITING,
	SECCOMP_ALLOW(epoll_ctl),
	SECCOMP_ALLOW(recvmsg),
	SECCOMP_ALLOW(sendmsg),
	/* the memfds */
	SECCOMP_ALLOW_IF(fcntl, 1, UINT32_MAX, F_GET_SEALS),
	SECCOMP_ALLOW(newfstatat),
	SECCOMP_ALLOW(fstat),
	SECCOMP_ALLOW(pread64),
	SECCOMP_ALLOW(close),
	/* memory, never executable */
	SECCOMP_ALLOW(brk),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW(munmap),
	SECCOMP_ALLOW(mremap),
	SECCOMP_ALLOW(sysinfo), /* qsort() of more than 1 KiB asks how much there is */
	SECCOMP_ALLOW(futex),   /* OpenSSL, once for each of its tables */
	/* the log, and the end */
	SECCOMP_ALLOW_IF(write, 0, UINT32_MAX, 2),
	SECCOMP_ALLOW(restart_syscall),
	SECCOMP_ALLOW(rt_sigreturn),
	SECCOMP_ALLOW(exit),
	SECCOMP_ALLOW(exit_group),
};

int sandbox_enter(void)
{
	const struct rlimit cpu = {.rlim_cur = CPU_SECONDS, .rlim_max = CPU_SECONDS};
	int err;

	if (setrlimit(RLIMIT_CPU, &cpu) < 0)
		return -errno;
	err = landlock_apply(NULL, 0, NULL, 0);
	if (err < 0)
		return err;
	return seccomp_apply(rules, sizeof(rules) / sizeof(rules[0]));
}
