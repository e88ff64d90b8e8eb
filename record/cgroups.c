/* SPDX-License-Identifier: Apache-2.0 */
#include "record/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The credit is in names read, of some 0.3 us each; a directory has 15 to 90 of them, nearly all of
 * files. What else costs is put into the same coin. Given is so much in a millisecond, 2 % of a
 * processor, and kept at most what lists a tree that fills the cache.
 */
#define CREDIT_PER_MS    64u
#define CREDIT_PER_ENTRY 128u
#define COST_DIRECTORY   16u /* opened, watched, closed */
#define COST_EVENT       8u
#define ENTRIES_PER_COST 32u /* looked through */

static uint64_t credit_max(const struct cgroups *cgroups)
{
	return (uint64_t)cgroups->cache.max * CREDIT_PER_ENTRY;
}

static void give_credit(struct cgroups *cgroups, uint64_t now_ms)
{
	uint64_t most = credit_max(cgroups);
	uint64_t earned = (now_ms - cgroups->credit_ms) * CREDIT_PER_MS;

	cgroups->credit_ms = now_ms;
	cgroups->credit = earned < most - cgroups->credit ? cgroups->credit + earned : most;
}

/* Returns whether there is credit left; if not, something is being left out. */
static bool spend(struct cgroups *cgroups, uint64_t cost)
{
	cgroups->credit = cgroups->credit > cost ? cgroups->credit - cost : 0;
	if (cgroups->credit)
		return true;
	cgroups->incomplete = true;
	cgroups->overrun = true;
	return false;
}

/* --- one directory --- */

static void drop_watch(struct cgroups *cgroups, struct cgroup_entry *entry)
{
	if (entry->watch >= 0)
		(void)inotify_rm_watch(cgroups->watch_fd, entry->watch);
	entry->watch = -1;
}

/*
 * The directory at cgroups->path. It may be gone, which its parent's watch tells, or not be for
 * everybody to list, and then nothing in it will ever be known.
 */
static void add_watch(struct cgroups *cgroups, struct cgroup_entry *entry)
{
	const char *relative = cgroups->len ? cgroups->path + 1 : ".";

	if (cgroups->watch_fd < 0 || entry->watch >= 0)
		return;
	entry->watch = inotify_add_watch(cgroups->watch_fd, relative, CGROUPS_WATCH_MASK);
	if (entry->watch < 0 && errno != ENOENT && errno != EACCES)
		cgroups->incomplete = true;
}

/* Returns whether it was known before. */
static bool learn(struct cgroups *cgroups, uint64_t id)
{
	struct cgroup_entry *entry = cgroup_cache_find(&cgroups->cache, id);
	bool known = entry != NULL;

	if (!known) {
		struct cgroup_entry *victim = cgroup_cache_victim(&cgroups->cache);

		cgroups->evicted += victim != NULL;
		if (victim && victim->watch >= 0) {
			drop_watch(cgroups, victim);
			cgroups->incomplete = true;
		}
		entry = cgroup_cache_add(&cgroups->cache, id);
		/* It begins with '/' and fits: enter() saw to that. */
		(void)cgroup_name_parse(cgroups->len ? cgroups->path : "/", &entry->name);
	}
	if (id == cgroups->wanted)
		cgroup_cache_touch(&cgroups->cache, entry);
	add_watch(cgroups, entry);
	return known;
}

/* Into a directory within the one at cgroups->path. Returns whether its path fits. */
static bool enter(struct cgroups *cgroups, const char *name)
{
	size_t room = sizeof(cgroups->path) - cgroups->len;
	int len = snprintf(cgroups->path + cgroups->len, room, "/%s", name);

	if (len < 0 || (size_t)len >= room) {
		cgroups->path[cgroups->len] = '\0';
		return false;
	}
	cgroups->len += (uint32_t)len;
	return true;
}

static void leave(struct cgroups *cgroups, uint32_t len)
{
	cgroups->path[len] = '\0';
	cgroups->len = len;
}

static void list(struct cgroups *cgroups, uint32_t depth);

/* A name in the directory at cgroups->path, which is depth deep. */
static void take_name(struct cgroups *cgroups, const struct dirent64 *name, uint32_t depth)
{
	uint32_t len = cgroups->len;

	if (name->d_type != DT_DIR || strcmp(name->d_name, ".") == 0 ||
	    strcmp(name->d_name, "..") == 0 || !enter(cgroups, name->d_name))
		return;
	/* First known and watched, then listed: so nothing is made in between unseen. */
	if (!learn(cgroups, name->d_ino) || cgroups->whole)
		list(cgroups, depth + 1);
	leave(cgroups, len);
}

/* What is in the directory at cgroups->path, and below it what isn't known; all, if whole. */
static void list(struct cgroups *cgroups, uint32_t depth)
{
	char *entries;
	ssize_t len;
	int fd;

	if (depth + 1 >= CGROUPS_DEPTH_MAX || !spend(cgroups, COST_DIRECTORY))
		return;
	fd = openat(cgroups->root_fd, cgroups->len ? cgroups->path + 1 : ".", CGROUPS_OPEN_FLAGS);
	if (fd < 0)
		return;
	entries = cgroups->entries[depth];
	do {
		len = getdents64(fd, entries, sizeof(cgroups->entries[0]));
		for (ssize_t at = 0; at < len && spend(cgroups, 1);) {
			const struct dirent64 *name = (const void *)(entries + at);

			take_name(cgroups, name, depth);
			at += name->d_reclen;
		}
	} while (len > 0 && cgroups->credit);
	close(fd);
}

static void scan(struct cgroups *cgroups, uint64_t now_ms)
{
	struct stat st;

	cgroups->scans++;
	cgroups->scan_ms = now_ms + CGROUPS_SCAN_MS;
	cgroups->incomplete = cgroups->watch_fd < 0;
	leave(cgroups, 0);
	if (fstatat(cgroups->root_fd, ".", &st, CGROUPS_STAT_FLAGS) < 0)
		return;
	cgroups->whole = true;
	learn(cgroups, st.st_ino);
	list(cgroups, 0);
	cgroups->whole = false;
	/* Not again for a tree that is too large: it will be so the next time. */
	cgroups->overrun = false;
}

/* Only with so much credit that the listing comes to an end. */
static bool may_scan(const struct cgroups *cgroups, uint64_t now_ms)
{
	return now_ms >= cgroups->scan_ms && cgroups->credit >= credit_max(cgroups) / 4 * 3;
}

/* --- what the watches say --- */

/* Something was made or removed at cgroups->path; by now it can be there, gone, or another one. */
static void look(struct cgroups *cgroups, uint32_t depth)
{
	struct cgroup_entry *before = cgroup_cache_at_path(&cgroups->cache, cgroups->path);
	struct stat st = {.st_ino = 0};

	if (fstatat(cgroups->root_fd, cgroups->path + 1, &st, CGROUPS_STAT_FLAGS) < 0 &&
	    errno != ENOENT)
		return;
	/* The kernel does not end the watch of a cgroup that is removed. */
	if (before && before->id != st.st_ino)
		drop_watch(cgroups, before);
	if (st.st_ino && S_ISDIR(st.st_mode) && !learn(cgroups, st.st_ino))
		list(cgroups, depth);
}

static uint32_t depth_of(const char *path)
{
	uint32_t depth = 0;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static void on_event(struct cgroups *cgroups, const struct inotify_event *event)
{
	const struct cgroup_entry *parent;

	if (event->mask & IN_Q_OVERFLOW) {
		cgroups->incomplete = true;
		cgroups->overrun = true;
	}
	/* Not that a watch has ended, which is also told of those that were dropped. */
	if (!spend(cgroups, 1) || !(event->mask & IN_ISDIR) || !event->len ||
	    !spend(cgroups, COST_EVENT + cgroups->cache.count / ENTRIES_PER_COST))
		return;
	parent = cgroup_cache_at_watch(&cgroups->cache, event->wd);
	leave(cgroups, 0);
	if (parent &&
	    (strcmp(parent->name.path, "/") == 0 || enter(cgroups, parent->name.path + 1)) &&
	    enter(cgroups, event->name))
		look(cgroups, depth_of(cgroups->path));
}

/* Returns whether there were any. */
static bool take_events(struct cgroups *cgroups)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t len = read(cgroups->watch_fd, events, sizeof(events));

	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *event = (const void *)(events + at);

		on_event(cgroups, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	return len > 0;
}

void cgroups_refresh(struct cgroups *cgroups, uint64_t now_ms)
{
	if (cgroups->root_fd < 0)
		return;
	give_credit(cgroups, now_ms);
	while (cgroups->watch_fd >= 0 && cgroups->credit && take_events(cgroups))
		;
	if (cgroups->overrun && may_scan(cgroups, now_ms))
		scan(cgroups, now_ms);
}

/* --- asking --- */

/* Look for an id that isn't known. */
static void search(struct cgroups *cgroups, uint64_t id, uint64_t now_ms)
{
	uint32_t slot = (uint32_t)(id % CGROUPS_ABSENT);
	uint64_t scans = cgroups->scans;

	if (cgroups->absent[slot].id == id && now_ms < cgroups->absent[slot].until_ms)
		return;
	cgroups->wanted = id;
	cgroups_refresh(cgroups, now_ms);
	if (cgroups->incomplete && !cgroup_cache_find(&cgroups->cache, id) &&
	    may_scan(cgroups, now_ms))
		scan(cgroups, now_ms);
	cgroups->wanted = 0;
	if (cgroups->incomplete && cgroups->scans == scans)
		return; /* nobody looked everywhere */
	cgroups->absent[slot].id = id;
	cgroups->absent[slot].until_ms = now_ms + CGROUPS_ABSENT_MS;
}

const struct cgroup_name *cgroups_find(struct cgroups *cgroups, uint64_t id, uint64_t now_ms)
{
	struct cgroup_entry *entry;

	if (cgroups->root_fd < 0 || id == 0)
		return NULL;
	entry = cgroup_cache_find(&cgroups->cache, id);
	if (!entry) {
		search(cgroups, id, now_ms);
		entry = cgroup_cache_find(&cgroups->cache, id);
	}
	if (!entry) {
		cgroups->unknown++;
		return NULL;
	}
	cgroup_cache_touch(&cgroups->cache, entry);
	return &entry->name;
}

int cgroups_open(struct cgroups *cgroups, int root_fd, uint32_t max, bool watch, uint64_t now_ms)
{
	int err;

	memset(cgroups, 0, sizeof(*cgroups));
	cgroups->root_fd = -1;
	cgroups->watch_fd = -1;
	if (root_fd < 0)
		return 0;
	err = cgroup_cache_open(&cgroups->cache, max);
	if (err) {
		close(root_fd);
		return err;
	}
	cgroups->root_fd = root_fd;
	if (watch && fchdir(root_fd) == 0)
		cgroups->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	cgroups->credit = credit_max(cgroups);
	cgroups->credit_ms = now_ms;
	scan(cgroups, now_ms);
	return 0;
}

void cgroups_close(struct cgroups *cgroups)
{
	if (cgroups->root_fd >= 0) {
		close(cgroups->root_fd);
		cgroup_cache_close(&cgroups->cache);
	}
	if (cgroups->watch_fd >= 0)
		close(cgroups->watch_fd);
	cgroups->root_fd = -1;
	cgroups->watch_fd = -1;
}
