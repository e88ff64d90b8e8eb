/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/landlock.h"
#include "common/seccomp.h"

static const struct seccomp_rule allowed[] = {
	/* files of the source: opened for reading only */
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
	SECCOMP_ALLOW_WAITING,
	SECCOMP_ALLOW(epoll_ctl),
	SECCOMP_ALLOW(timerfd_create),
	SECCOMP_ALLOW(timerfd_settime),
	SECCOMP_ALLOW(restart_syscall),
	SECCOMP_ALLOW(clock_gettime), /* where the vDSO has none */
	/* malloc; nothing becomes executable */
	SECCOMP_ALLOW(brk),
	SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	SECCOMP_ALLOW(munmap),
	SECCOMP_ALLOW(mremap),
	SECCOMP_ALLOW(sysinfo), /* qsort() of more than 1 KiB asks how much there is */
	SECCOMP_ALLOW(getrandom),
	SECCOMP_ALLOW(futex), /* OpenSSL, once for each of its tables */
	/* the end */
	SECCOMP_ALLOW(rt_sigreturn),
	SECCOMP_ALLOW(exit),
	SECCOMP_ALLOW(exit_group),
};

/*
 * TCP, and UDP to look names up, which the libraries do in a thread. What they do without (nscd,
 * the interfaces' addresses, a thread by the newer call) is refused softly.
 */
static const struct seccomp_rule for_network[] = {
	SECCOMP_ALLOW_IF(socket, 0, UINT32_MAX, AF_INET),
	SECCOMP_ALLOW_IF(socket, 0, UINT32_MAX, AF_INET6),
	SECCOMP_REFUSE_IF(socket, 0, UINT32_MAX, AF_UNIX, EACCES),
	SECCOMP_REFUSE_IF(socket, 0, UINT32_MAX, AF_NETLINK, EACCES),
	SECCOMP_ALLOW(sendmmsg),
	SECCOMP_ALLOW(pipe2),
	SECCOMP_ALLOW(eventfd2),
	SECCOMP_ALLOW(shutdown),
	SECCOMP_ALLOW(uname),
	SECCOMP_ALLOW(getpid),
	SECCOMP_ALLOW(gettid),
	/* a thread, of this process and in its memory alone */
	SECCOMP_REFUSE(clone3, ENOSYS),
	SECCOMP_ALLOW_IF(clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM),
	SECCOMP_ALLOW(set_robust_list),
	SECCOMP_ALLOW(rseq),
	SECCOMP_ALLOW(rt_sigprocmask),
	SECCOMP_ALLOW(sched_getaffinity),
	SECCOMP_ALLOW(madvise),
	SECCOMP_ALLOW_IF(mprotect, 2, PROT_EXEC, 0),
};

static const struct seccomp_rule for_unix_socket[] = {
	SECCOMP_ALLOW_IF(socket, 0, UINT32_MAX, AF_UNIX),
};

/* A connection of either kind. */
static const struct seccomp_rule for_both[] = {
	SECCOMP_ALLOW_IF(socketpair, 0, UINT32_MAX, AF_UNIX),
	SECCOMP_ALLOW(connect),
	SECCOMP_ALLOW(getsockname),
	SECCOMP_ALLOW(getpeername),
	SECCOMP_ALLOW(getsockopt),
	SECCOMP_ALLOW(setsockopt),
	SECCOMP_ALLOW(sendto),
	SECCOMP_ALLOW(recvfrom),
	SECCOMP_ALLOW_IF(ioctl, 1, UINT32_MAX, FIONREAD),
	SECCOMP_ALLOW(rt_sigaction),
};

#define COUNT(rules) (sizeof(rules) / sizeof((rules)[0]))

/* Only one filter can be installed, for the first one forbids the second. */
static int apply_rules(const struct sandbox_needs *needs)
{
	struct seccomp_rule rules[COUNT(allowed) + COUNT(for_unix_socket) + COUNT(for_network) +
				  COUNT(for_both)];
	/* In this order: those for the network refuse what these for a socket of the host allow. */
	const struct {
		bool needed;
		const struct seccomp_rule *rules;
		size_t count;
	} parts[] = {
		{true, allowed, COUNT(allowed)},
		{needs->unix_socket, for_unix_socket, COUNT(for_unix_socket)},
		{needs->network, for_network, COUNT(for_network)},
		{needs->unix_socket || needs->network, for_both, COUNT(for_both)},
	};
	size_t count = 0;

	for (size_t i = 0; i < COUNT(parts); i++) {
		if (!parts[i].needed)
			continue;
		memcpy(rules + count, parts[i].rules, parts[i].count * sizeof(rules[0]));
		count += parts[i].count;
	}
	return seccomp_apply(rules, count);
}

int sandbox_enter(const struct sandbox_needs *needs, const char **what)
{
	int err = landlock_apply(needs->rooms, needs->room_count, needs->ports, needs->port_count);

	*what = "landlock";
	if (err < 0)
		return err;
	*what = "seccomp";
	return apply_rules(needs);
}
