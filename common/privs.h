/* SPDX-License-Identifier: Apache-2.0 */
/* Giving privilege up, and proving from the live process that it is gone. capabilities(7). */
#ifndef COMMON_PRIVS_H
#define COMMON_PRIVS_H

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A set of capabilities: bit n is capability number n. */
#define PRIVS_CAP(n) (UINT64_C(1) << (n))

/* What the loader needs, and nobody else. */
#define PRIVS_LOADER (PRIVS_CAP(CAP_BPF) | PRIVS_CAP(CAP_PERFMON))

/* What it may have besides, for address translation (nat). */
#define PRIVS_NAT PRIVS_CAP(CAP_NET_ADMIN)

/* How it gets them: where they lack, this is what to do. */
#define PRIVS_LOADER_SETCAP     "setcap cap_bpf,cap_perfmon+p"
#define PRIVS_LOADER_NAT_SETCAP "setcap cap_bpf,cap_perfmon,cap_net_admin+p"

struct privs {
	uid_t uid[3]; /* real, effective, saved */
	gid_t gid[3];
	uint64_t permitted, effective, inheritable, ambient, bounding;
	int no_new_privs; /* 0 or 1 */
};

/* What this process has now. Returns 0 or a negative errno. */
int privs_read(struct privs *privs);

/*
 * Become uid and gid for good: supplementary groups gone, real, effective and saved ids set, and
 * a way back tried and refused. Returns 0 or a negative errno (-EPERM if a way back is left).
 */
int privs_drop_user(uid_t uid, gid_t gid);

/*
 * Set permitted and effective to the given sets, empty the inheritable and the ambient one, and
 * read back that it is so. Returns 0 or a negative errno.
 */
int privs_set_caps(uint64_t permitted, uint64_t effective);

/* Drop all but these from the bounding set; needs CAP_SETPCAP if there is anything to drop. */
int privs_bound(uint64_t keep);

/*
 * Check that the process is not root in any id and has no capability beyond `allowed` in its
 * permitted, effective, inheritable or ambient set. Returns 0, or -EPERM with the reason in why.
 */
int privs_check(uint64_t allowed, char *why, size_t cap);

/* The permitted set that the file behind fd carries, 0 if it carries none. */
uint64_t privs_of_file(int fd);

/* Names of the capabilities of a set, comma separated, "none" for the empty one; always fits 1024.
 */
void privs_caps_text(uint64_t caps, char *out, size_t cap);

#endif
