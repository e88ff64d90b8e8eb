/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the id of a cgroup (v2), which is the inode number of its directory, to its path and what
 * that says. Needs no privilege, only to list directories.
 *
 * The tree is listed once; from then on each directory is watched (inotify), so that a cgroup is
 * known as soon as it is made, and still is when it has been removed: the record of a connection
 * comes after it. Where not all can be watched an unknown id has the tree listed again.
 *
 * All of this is bounded: memory by the cache; time by a credit, which grows while nothing is
 * done. Nothing is allocated after cgroups_open().
 */
#ifndef RECORD_CGROUPS_H
#define RECORD_CGROUPS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

#include "record/cgroup_cache.h"

/* Directories within directories; what lies deeper stays unknown. */
#define CGROUPS_DEPTH_MAX 32u

/* At least so long from one listing of the tree to the next. */
#define CGROUPS_SCAN_MS 100u

/* How long an id that was not found is not looked for again, if it's one of so many. */
#define CGROUPS_ABSENT_MS 1000u
#define CGROUPS_ABSENT    64u

/* Exactly how directories are opened and watched, for a filter of system calls. */
#define CGROUPS_OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define CGROUPS_STAT_FLAGS AT_SYMLINK_NOFOLLOW
#define CGROUPS_WATCH_MASK (IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW)

struct cgroups {
	int root_fd;  /* -1 = nothing is known */
	int watch_fd; /* readable when cgroups were made or removed; -1 = none */
	struct cgroup_cache cache;
	uint64_t wanted; /* the id under search; 0 = none */
	bool whole;      /* the listing under way leaves out nothing */
	bool incomplete; /* there may be directories that are neither known nor watched */
	bool overrun;    /* so because of a rush: to be mended by listing the tree again */
	uint64_t credit;
	uint64_t credit_ms; /* up to when it was given */
	uint64_t scan_ms;   /* no listing of the tree before */
	struct {
		uint64_t id;
		uint64_t until_ms;
	} absent[CGROUPS_ABSENT];

	uint64_t scans;   /* listings of the tree */
	uint64_t unknown; /* cgroups_find() that found none */
	uint64_t evicted; /* cgroups that were forgotten for others */

	/* For the listing: where it is ("" is the root), and what it read there. */
	uint32_t len;
	char path[CGROUP_PATH_MAX];
	_Alignas(8) char entries[CGROUPS_DEPTH_MAX][2048];
};

/*
 * List the tree whose root is root_fd (O_PATH will do), which becomes the struct's; -1: there is
 * none, and nothing will be found. max as for the cache. watch: add watches; that makes the root
 * the working directory of the process, because inotify takes no fd. Without inotify it goes on
 * without: watch_fd tells. Returns 0 or a negative errno, with root_fd closed. The struct is large:
 * static.
 */
int cgroups_open(struct cgroups *cgroups, int root_fd, uint32_t max, bool watch, uint64_t now_ms);
void cgroups_close(struct cgroups *cgroups);

/*
 * What is known of the cgroup with that id, NULL if nothing is; good until the next call. Times are
 * loop_now_ms() or as even.
 */
const struct cgroup_name *cgroups_find(struct cgroups *cgroups, uint64_t id, uint64_t now_ms);

/* Take what the watches saw: when watch_fd is readable, and now and then. */
void cgroups_refresh(struct cgroups *cgroups, uint64_t now_ms);

#endif
