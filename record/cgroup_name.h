/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the path of a cgroup says: the systemd unit, the container and its runtime, the pod. Pure.
 *
 * It is what the path says and no more: whoever may make cgroups gives them what names he likes.
 * Of several the innermost counts: in a container within a container that is the inner one, and of
 * a systemd within a container its unit, beside the id of the container.
 */
#ifndef RECORD_CGROUP_NAME_H
#define RECORD_CGROUP_NAME_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a path with its NUL, a longer one is refused; of one name, as NAME_MAX. */
#define CGROUP_PATH_MAX 512u
#define CGROUP_PART_MAX 255u

/* Bytes of a pod's uid with its NUL: a UUID. */
#define CGROUP_POD_MAX 37u

enum cgroup_runtime {
	RUNTIME_UNKNOWN,
	RUNTIME_DOCKER,
	RUNTIME_CONTAINERD,
	RUNTIME_CRIO,
	RUNTIME_PODMAN,
	RUNTIME_LXC,
	RUNTIME_COUNT,
};

/* A piece of the path; len 0 = there is none. */
struct cgroup_part {
	uint16_t at;
	uint16_t len;
};

struct cgroup_name {
	char path[CGROUP_PATH_MAX]; /* "/" is the root */
	struct cgroup_part unit;    /* as systemctl has it, with its \x2d */
	struct cgroup_part
		container;        /* 64 hexadecimal digits, or what else the runtime names it by */
	uint8_t runtime;          /* enum cgroup_runtime, of the container */
	char pod[CGROUP_POD_MAX]; /* uid, with '-'; "": none */
};

/*
 * Take a path apart: absolute, relative to the root of the hierarchy; any byte may be in it.
 * Returns 0, -EINVAL if it doesn't begin with '/', -ENAMETOOLONG if it does not fit.
 */
int cgroup_name_parse(const char *path, struct cgroup_name *name);

/* "docker", "containerd", "cri-o", "podman", "lxc"; NULL for RUNTIME_UNKNOWN and other numbers. */
const char *cgroup_name_runtime(uint32_t runtime);

#endif
