/* SPDX-License-Identifier: Apache-2.0 */
#include "record/cgroup_name.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ID_LEN \
	64u /* of docker, containerd, cri-o and podman: a SHA-256, or so many random digits */
#define TASK_LEN 32u /* of ECS */

#define POD_HASH_LEN 32u

static const char lower_hex[] = "0123456789abcdef";
static const char decimal[] = "0123456789";
static const char alphanumeric[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* A piece of text; it may be empty. */
struct text {
	const char *at;
	size_t len;
};

/* --- pieces of text --- */

static bool is(struct text text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

static bool ends_with(struct text text, const char *tail)
{
	size_t len = strlen(tail);

	return text.len >= len && memcmp(text.at + text.len - len, tail, len) == 0;
}

/* Take head off the begin. Returns whether it was there. */
static bool strip_head(struct text *text, const char *head)
{
	size_t len = strlen(head);

	if (text->len < len || memcmp(text->at, head, len) != 0)
		return false;
	text->at += len;
	text->len -= len;
	return true;
}

static bool strip_tail(struct text *text, const char *tail)
{
	if (!ends_with(*text, tail))
		return false;
	text->len -= strlen(tail);
	return true;
}

static struct text last_of(struct text text, size_t len)
{
	return (struct text){text.at + text.len - len, len};
}

/* All of these characters, or of the others. */
static bool made_of(struct text text, const char *chars, const char *others)
{
	for (size_t i = 0; i < text.len; i++)
		if (!text.at[i] || (!strchr(chars, text.at[i]) && !strchr(others, text.at[i])))
			return false;
	return text.len > 0;
}

/* --- systemd --- */

/*
 * Units that hold processes (systemd.unit(5): names of up to 255 characters). What would look like
 * a file of the kernel's has a '_' before it (systemd's cg_escape()).
 */
static bool unit_of(struct text part, bool *slice, struct text *unit)
{
	static const char *const types[] = {".service", ".scope", ".socket", ".mount", ".swap"};
	bool known = false;

	(void)strip_head(&part, "_");
	*slice = ends_with(part, ".slice");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		known |= ends_with(part, types[i]) && part.len > strlen(types[i]);
	if ((!known && !*slice) || !made_of(part, alphanumeric, ":-_.\\@") || part.at[0] == '@' ||
	    part.at[0] == '.')
		return false;
	*unit = part;
	return true;
}

/* --- containers --- */

static const struct {
	const char *word;
	enum cgroup_runtime runtime;
} prefixes[] = {
	{"docker", RUNTIME_DOCKER},      {"cri-containerd", RUNTIME_CONTAINERD},
	{"nerdctl", RUNTIME_CONTAINERD}, {"crio", RUNTIME_CRIO},
	{"libpod", RUNTIME_PODMAN},      {"libpod-payload", RUNTIME_PODMAN}, /* --cgroups=split */
};

static bool runtime_of(struct text word, enum cgroup_runtime *runtime)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (is(word, prefixes[i].word)) {
			*runtime = prefixes[i].runtime;
			return true;
		}
	return false;
}

/* The word behind the last ':' ("kubepods-podUID.slice:cri-containerd": a runtime that was given a
   name for systemd and makes its cgroups itself). */
static struct text behind_colon(struct text text)
{
	const char *colon = memrchr(text.at, ':', text.len);

	if (!colon)
		return (struct text){text.at, 0};
	return last_of(text, text.len - (size_t)(colon - text.at) - 1);
}

/*
 * docker-ID.scope and the like by systemd; crio-ID, libpod-ID, SLICE:cri-containerd:ID, ID by the
 * runtime itself. A word that isn't known is no container: crio-conmon-ID.scope is the monitor of
 * one.
 */
static bool has_hex_id(struct text part, struct text parent, struct text *id,
		       enum cgroup_runtime *runtime)
{
	struct text head;

	(void)strip_tail(&part, ".scope");
	if (part.len < ID_LEN)
		return false;
	*id = last_of(part, ID_LEN);
	if (!made_of(*id, lower_hex, ""))
		return false;
	head = (struct text){part.at, part.len - ID_LEN};
	*runtime = is(parent, "docker") ? RUNTIME_DOCKER : RUNTIME_UNKNOWN;
	if (head.len == 0)
		return !is(parent, "libpod_parent"); /* there it is a pod of podman's */
	if (strip_tail(&head, "-"))
		return runtime_of(head, runtime);
	return strip_tail(&head, ":") && runtime_of(behind_colon(head), runtime);
}

/* TASK-NUMBER below ecs or ecs/TASK: Fargate since its platform 1.4. */
static bool is_of_ecs(struct text part, struct text parent, struct text before)
{
	const struct text task = {part.at, TASK_LEN};

	if ((!is(parent, "ecs") && !is(before, "ecs")) || part.len < TASK_LEN + 2 ||
	    !made_of(task, lower_hex, "") || part.at[TASK_LEN] != '-')
		return false;
	return made_of(last_of(part, part.len - TASK_LEN - 1), decimal, "");
}

/* lxc.payload.NAME since LXC 4; lxc/NAME before, and on Proxmox VE. lxc.monitor.NAME is none. */
static bool is_of_lxc(struct text part, struct text parent, struct text *id)
{
	*id = part;
	if (!strip_head(id, "lxc.payload.") && !is(parent, "lxc") && !is(parent, "lxc.payload"))
		return false;
	return made_of(*id, alphanumeric, "._-");
}

static bool container_of(struct text part, struct text parent, struct text before, struct text *id,
			 enum cgroup_runtime *runtime)
{
	if (has_hex_id(part, parent, id, runtime))
		return true;
	if (is_of_ecs(part, parent, before)) {
		*id = part;
		*runtime = RUNTIME_UNKNOWN;
		return true;
	}
	*runtime = RUNTIME_LXC;
	return is_of_lxc(part, parent, id);
}

/* --- pods --- */

/* A UUID, its parts joined by '-' or, as in the names of slices, by '_'; or, of a pod out of a file
   on the node, 32 digits. */
static bool is_pod_uid(struct text uid)
{
	static const char form[CGROUP_POD_MAX] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (uid.len == POD_HASH_LEN)
		return made_of(uid, lower_hex, "");
	for (size_t i = 0; i < uid.len; i++)
		if (form[i] == '-' ? !strchr("-_", uid.at[i]) || !uid.at[i]
				   : !made_of((struct text){uid.at + i, 1}, lower_hex, ""))
			return false;
	return true;
}

/* podUID, or X-podUID.slice with or without :WORD:ID behind it. */
static bool pod_of(struct text part, struct text *uid)
{
	static const size_t lengths[] = {CGROUP_POD_MAX - 1, POD_HASH_LEN};
	const char *colon = memchr(part.at, ':', part.len);
	bool slice;

	if (colon)
		part.len = (size_t)(colon - part.at);
	slice = strip_tail(&part, ".slice");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct text head = {part.at, part.len - lengths[i]};

		if (part.len < lengths[i])
			continue;
		*uid = last_of(part, lengths[i]);
		if (is_pod_uid(*uid) && (is(head, "pod") || (slice && ends_with(head, "-pod"))))
			return true;
	}
	return false;
}

static void put_pod(struct cgroup_name *name, struct text uid)
{
	memset(name->pod, 0, sizeof(name->pod));
	memcpy(name->pod, uid.at, uid.len);
	for (size_t i = 0; i < uid.len; i++)
		if (name->pod[i] == '_')
			name->pod[i] = '-';
}

/* --- the path --- */

static struct cgroup_part place(const struct cgroup_name *name, struct text text)
{
	return (struct cgroup_part){.at = (uint16_t)(text.at - name->path),
				    .len = (uint16_t)text.len};
}

/* The next one further in: what it names replaces what those around it named. */
static void read_part(struct cgroup_name *name, struct text part, struct text parent,
		      struct text before, bool *only_slice)
{
	enum cgroup_runtime runtime;
	struct text found;
	bool slice;

	if (unit_of(part, &slice, &found) && (!slice || *only_slice)) {
		name->unit = place(name, found);
		*only_slice = slice;
	}
	if (container_of(part, parent, before, &found, &runtime)) {
		name->container = place(name, found);
		name->runtime = (uint8_t)runtime;
	}
	if (pod_of(part, &found))
		put_pod(name, found);
}

int cgroup_name_parse(const char *path, struct cgroup_name *name)
{
	struct text part = {path, 0}, parent = part, before;
	size_t len = strnlen(path, CGROUP_PATH_MAX);
	bool only_slice = true;

	memset(name, 0, sizeof(*name));
	if (path[0] != '/')
		return -EINVAL;
	if (len == CGROUP_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(name->path, path, len);
	for (const char *at = name->path + 1; *at;) {
		size_t part_len = strcspn(at, "/");

		before = parent;
		parent = part;
		part = (struct text){at, part_len};
		if (part_len > 0 && part_len <= CGROUP_PART_MAX)
			read_part(name, part, parent, before, &only_slice);
		at += part_len;
		at += *at == '/';
	}
	return 0;
}

const char *cgroup_name_runtime(uint32_t runtime)
{
	static const char *const words[RUNTIME_COUNT] = {
		[RUNTIME_DOCKER] = "docker", [RUNTIME_CONTAINERD] = "containerd",
		[RUNTIME_CRIO] = "cri-o",    [RUNTIME_PODMAN] = "podman",
		[RUNTIME_LXC] = "lxc",
	};

	return runtime < RUNTIME_COUNT ? words[runtime] : NULL;
}
