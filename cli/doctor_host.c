/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/process.h"
#include "common/installation.h"
#include "common/landlock.h"
#include "common/privs.h"
#include "loader/nat.h"
#include "loader/procfs.h"

#define MEMINFO_PATH        "/proc/meminfo"
#define USER_NAMESPACE_PATH "/proc/self/ns/user"

/* The kernel's PROC_USER_INIT_INO: include/linux/proc_ns.h */
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDu

/* Whether a list of system calls that kills could be installed: common/seccomp.c. */
static int ask_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static bool in_initial_user_namespace(void)
{
	struct stat st;

	/* A kernel without them has only one. */
	return stat(USER_NAMESPACE_PATH, &st) < 0 || st.st_ino == INITIAL_USER_NAMESPACE;
}

static void look_at_kernel(struct doctor_kernel *kernel)
{
	struct utsname uts;

	if (uname(&uts) == 0) {
		snprintf(kernel->release, sizeof(kernel->release), "%s", uts.release);
		snprintf(kernel->machine, sizeof(kernel->machine), "%s", uts.machine);
	}
	kernel->has_cap_bpf = cap_max_bits() > CAP_BPF;
	kernel->initial_user_namespace = in_initial_user_namespace();
	kernel->landlock_abi = landlock_abi();
	kernel->seccomp = ask_seccomp();
	kernel->conntrack = nat_is_tracked();
}

static void look_at_self(struct doctor_self *self)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct process_facts init;
	struct rlimit memlock;
	struct privs privs;

	self->root = geteuid() == 0;
	/* As conntraced does. */
	if (self->root)
		(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) == 0)
		self->memlock_bytes =
			memlock.rlim_cur == RLIM_INFINITY ? UINT64_MAX : memlock.rlim_cur;
	self->init_no_new_privs = process_read(1, &init) == 0 && init.no_new_privs;
	if (privs_read(&privs) < 0)
		return;
	self->bounding = privs.bounding;
	self->tried = (privs.effective & PRIVS_LOADER) == PRIVS_LOADER;
}

void doctor_name_user(uid_t uid, char name[DOCTOR_NAME_MAX])
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(name, DOCTOR_NAME_MAX, "%s", user->pw_name);
	else
		snprintf(name, DOCTOR_NAME_MAX, "%u", uid);
}

void doctor_name_group(gid_t gid, char name[DOCTOR_NAME_MAX])
{
	const struct group *group = getgrgid(gid);

	if (group)
		snprintf(name, DOCTOR_NAME_MAX, "%s", group->gr_name);
	else
		snprintf(name, DOCTOR_NAME_MAX, "%u", gid);
}

static void look_at_user(struct doctor_user *user)
{
	user->known = installation_user(&user->uid, &user->gid) == 0;
	if (!user->known)
		return;
	doctor_name_user(user->uid, user->name);
	doctor_name_group(user->gid, user->group);
}

/* "KEY:   123 kB" */
static uint64_t meminfo_bytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) << 10 : 0;
}

static void look_at_memory(struct doctor_memory *memory)
{
	char text[2048];

	procfs_text(MEMINFO_PATH, text, sizeof(text));
	memory->total_bytes = meminfo_bytes(text, "MemTotal:");
	memory->available_bytes = meminfo_bytes(text, "MemAvailable:");
	memory->budget_bytes = CONFIG_BUDGET_DEFAULT;
	config_apply_budget(memory->budget_bytes, &memory->sizes);
}

void doctor_look_at_host(struct doctor *doctor)
{
	look_at_kernel(&doctor->kernel);
	look_at_self(&doctor->self);
	look_at_user(&doctor->user);
	look_at_memory(&doctor->memory);
}
