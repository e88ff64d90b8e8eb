/* SPDX-License-Identifier: Apache-2.0 */
#include "common/privs.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

static int flag_bits(cap_t caps, cap_flag_t flag, uint64_t *bits)
{
	*bits = 0;
	for (int n = 0; n < cap_max_bits() && n < 64; n++) {
		cap_flag_value_t set;

		if (cap_get_flag(caps, n, flag, &set) < 0)
			return -errno;
		if (set == CAP_SET)
			*bits |= PRIVS_CAP(n);
	}
	return 0;
}

static int read_sets(struct privs *privs)
{
	cap_t caps = cap_get_proc();
	int err;

	if (!caps)
		return -errno;
	err = flag_bits(caps, CAP_PERMITTED, &privs->permitted);
	if (!err)
		err = flag_bits(caps, CAP_EFFECTIVE, &privs->effective);
	if (!err)
		err = flag_bits(caps, CAP_INHERITABLE, &privs->inheritable);
	cap_free(caps);
	return err;
}

int privs_read(struct privs *privs)
{
	int err = read_sets(privs);

	if (err)
		return err;
	privs->ambient = 0;
	privs->bounding = 0;
	for (int n = 0; n < cap_max_bits() && n < 64; n++) {
		if (cap_get_ambient(n) == 1)
			privs->ambient |= PRIVS_CAP(n);
		if (cap_get_bound(n) == 1)
			privs->bounding |= PRIVS_CAP(n);
	}
	if (getresuid(&privs->uid[0], &privs->uid[1], &privs->uid[2]) < 0 ||
	    getresgid(&privs->gid[0], &privs->gid[1], &privs->gid[2]) < 0)
		return -errno;
	privs->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	return 0;
}

int privs_drop_user(uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0)
		return -EINVAL;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	if (setuid(0) == 0 || setgid(0) == 0)
		return -EPERM;
	return 0;
}

static int set_flag(cap_t caps, cap_flag_t flag, uint64_t bits)
{
	for (int n = 0; n < cap_max_bits() && n < 64; n++) {
		cap_value_t value = n;

		if ((bits & PRIVS_CAP(n)) && cap_set_flag(caps, flag, 1, &value, CAP_SET) < 0)
			return -errno;
	}
	return 0;
}

int privs_set_caps(uint64_t permitted, uint64_t effective)
{
	struct privs now;
	cap_t caps = cap_init();
	int err;

	if (!caps)
		return -errno;
	err = set_flag(caps, CAP_PERMITTED, permitted);
	if (!err)
		err = set_flag(caps, CAP_EFFECTIVE, effective);
	if (!err && cap_reset_ambient() < 0)
		err = -errno;
	if (!err && cap_set_proc(caps) < 0)
		err = -errno;
	cap_free(caps);
	if (!err)
		err = privs_read(&now);
	if (!err && (now.permitted != permitted || now.effective != effective || now.inheritable ||
		     now.ambient))
		err = -EPERM;
	return err;
}

int privs_bound(uint64_t keep)
{
	for (int n = 0; n < cap_max_bits() && n < 64; n++) {
		if ((keep & PRIVS_CAP(n)) || cap_get_bound(n) != 1)
			continue;
		if (cap_drop_bound(n) < 0)
			return -errno;
	}
	return 0;
}

uint64_t privs_of_file(int fd)
{
	cap_t caps = cap_get_fd(fd);
	uint64_t bits = 0;

	if (!caps)
		return 0;
	(void)flag_bits(caps, CAP_PERMITTED, &bits);
	cap_free(caps);
	return bits;
}

void privs_caps_text(uint64_t caps, char *out, size_t cap)
{
	size_t at = 0;

	if (!caps) {
		snprintf(out, cap, "none");
		return;
	}
	for (int n = 0; n < 64 && at < cap; n++) {
		char *name;

		if (!(caps & PRIVS_CAP(n)))
			continue;
		name = cap_to_name(n);
		at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? "," : "",
				       name ? name : "?");
		cap_free(name);
	}
}

static bool any_zero(const uid_t ids[3])
{
	return ids[0] == 0 || ids[1] == 0 || ids[2] == 0;
}

int privs_check(uint64_t allowed, char *why, size_t cap)
{
	struct privs now;
	char text[1024];
	uint64_t extra;
	int err = privs_read(&now);

	if (err) {
		snprintf(why, cap, "own privileges can't be read");
		return err;
	}
	if (any_zero(now.uid) || any_zero(now.gid)) {
		snprintf(why, cap, "runs as root (uid or gid 0)");
		return -EPERM;
	}
	extra = (now.permitted | now.effective | now.inheritable | now.ambient) & ~allowed;
	if (!extra)
		return 0;
	privs_caps_text(extra, text, sizeof(text));
	snprintf(why, cap, "has capabilities it must not have: %s", text);
	return -EPERM;
}
