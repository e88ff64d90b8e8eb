/* SPDX-License-Identifier: Apache-2.0 */
#include "common/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "seccomp: name this architecture's AUDIT_ARCH"
#endif

/* What is answered to a call that is not in the list. */
#if defined(CONNTRACE_DEBUG)
static uint32_t otherwise = SECCOMP_RET_KILL_PROCESS;
#elif defined(__SANITIZE_ADDRESS__)
static const uint32_t otherwise = SECCOMP_RET_LOG;
#else
static const uint32_t otherwise = SECCOMP_RET_KILL_PROCESS;
#endif

/* The x32 calls of x86-64 share its AUDIT_ARCH and have this bit. */
#define X32_BIT 0x40000000u

#define DATA(member) ((uint32_t)offsetof(struct seccomp_data, member))

/* Head (6), up to 6 instructions a rule, tail (1). */
#define PROGRAM_MAX (7u + 6u * SECCOMP_RULES_MAX)

struct program {
	struct sock_filter code[PROGRAM_MAX];
	uint16_t len;
};

static void put(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->code[p->len++] = (struct sock_filter){.code = code, .jt = jt, .jf = jf, .k = k};
}

/* In: accumulator holds the call's number. Out: the same. */
static void put_rule(struct program *p, const struct seccomp_rule *rule)
{
	const uint16_t load = BPF_LD | BPF_W | BPF_ABS;
	const uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K;
	const uint32_t then = rule->err ? SECCOMP_RET_ERRNO | rule->err : SECCOMP_RET_ALLOW;

	if (rule->arg < 0) {
		put(p, equal, (uint32_t)rule->nr, 0, 1);
		put(p, BPF_RET | BPF_K, then, 0, 0);
		return;
	}
	put(p, equal, (uint32_t)rule->nr, 0, 5);
	put(p, load, DATA(args) + 8u * (uint32_t)rule->arg, 0, 0);
	put(p, BPF_ALU | BPF_AND | BPF_K, rule->mask, 0, 0);
	put(p, equal, rule->value, 0, 1);
	put(p, BPF_RET | BPF_K, then, 0, 0);
	put(p, load, DATA(nr), 0, 0);
}

int seccomp_log_only(void)
{
#if defined(CONNTRACE_DEBUG)
	otherwise = SECCOMP_RET_LOG;
	return 0;
#else
	return -EPERM;
#endif
}

int seccomp_apply(const struct seccomp_rule *rules, size_t count)
{
	struct program p = {.len = 0};
	struct sock_fprog prog;

	if (count > SECCOMP_RULES_MAX)
		return -E2BIG;
	put(&p, BPF_LD | BPF_W | BPF_ABS, DATA(arch), 0, 0);
	put(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	put(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	put(&p, BPF_LD | BPF_W | BPF_ABS, DATA(nr), 0, 0);
	put(&p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	put(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	for (size_t i = 0; i < count; i++)
		put_rule(&p, &rules[i]);
	put(&p, BPF_RET | BPF_K, otherwise, 0, 0);
	prog = (struct sock_fprog){.len = p.len, .filter = p.code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}
