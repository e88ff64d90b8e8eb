/* SPDX-License-Identifier: Apache-2.0 */
/* An allow-list of system calls as a const table; seccomp(2). */
#ifndef COMMON_SECCOMP_H
#define COMMON_SECCOMP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define SECCOMP_RULES_MAX 128u

/* Holds if (argument & mask) == value; arg -1 = whatever the arguments. Several rules of one call:
   the first that holds decides. */
struct seccomp_rule {
	int nr;  /* SYS_ number */
	int arg; /* 0 to 5, only its low 32 bits are looked at, or -1 */
	uint32_t mask;
	uint32_t value;
	uint16_t err; /* 0: allowed; else the errno that it fails with */
};

#define SECCOMP_ALLOW(name) \
	{ \
		SYS_##name, -1, 0, 0, 0 \
	}
#define SECCOMP_ALLOW_IF(name, a, m, v) \
	{ \
		SYS_##name, (a), (m), (v), 0 \
	}
/* poll(2) and epoll_wait(2): newer architectures have only the calls that replaced them. */
#if defined(SYS_poll)
#define SECCOMP_ALLOW_WAITING \
	SECCOMP_ALLOW(poll), SECCOMP_ALLOW(ppoll), SECCOMP_ALLOW(epoll_wait), \
		SECCOMP_ALLOW(epoll_pwait)
#else
#define SECCOMP_ALLOW_WAITING SECCOMP_ALLOW(ppoll), SECCOMP_ALLOW(epoll_pwait)
#endif
/* For what a library tries and does without. */
#define SECCOMP_REFUSE(name, e) \
	{ \
		SYS_##name, -1, 0, 0, (e) \
	}
#define SECCOMP_REFUSE_IF(name, a, m, v, e) \
	{ \
		SYS_##name, (a), (m), (v), (e) \
	}

/*
 * Set no_new_privs and install the list: every other call, and every call of another architecture,
 * kills the process (a sanitizer build logs instead: its runtime makes calls of its own).
 * Returns 0 or a negative errno.
 */
int seccomp_apply(const struct seccomp_rule *rules, size_t count);

/* By this variable conntraced --log-forbidden has its children call seccomp_log_only(). */
#define SECCOMP_LOG_VARIABLE "CONNTRACE_LOG_FORBIDDEN"

/*
 * In a debug build (make DEBUG=1) a filter that is installed from now on lets pass what it would
 * kill for; the kernel logs it. Returns 0, in a release build -EPERM, and nothing changes.
 */
int seccomp_log_only(void);

#endif
