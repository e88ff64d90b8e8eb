/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/custody.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/counters.h"

#define COUNTERS_BYTES  (COUNTER_SLOTS * sizeof(struct counters))
#define TELEMETRY_BYTES (TELEMETRY_ROWS * sizeof(struct telemetry))
#define HITS_BYTES      (HITS_SLOTS * sizeof(struct hits))

void custody_init(struct custody *custody)
{
	memset(custody, 0, sizeof(*custody));
}

bool custody_holds(const struct custody *custody)
{
	return custody->manifest.fd_count > 0;
}

static int find(const struct msg_manifest *manifest, enum fd_kind kind)
{
	for (uint32_t i = 0; i < manifest->fd_count; i++)
		if (manifest->fds[i].kind == kind)
			return (int)i;
	return -1;
}

int custody_fd(const struct custody *custody, enum fd_kind kind)
{
	int i = find(&custody->manifest, kind);

	return i < 0 ? -1 : custody->fds[i];
}

/*
 * kernel/bpf/syscall.c names its anonymous inodes bpf-map, bpf_link, bpf-prog ...; a link to a
 * kprobe can be a perf event (kernel/events/core.c).
 */
static bool is_bpf(int fd, uint32_t kind)
{
	static const char prefix[] = "anon_inode:bpf";
	char path[32], target[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	target[len > 0 ? len : 0] = '\0';
	return strncmp(target, prefix, sizeof(prefix) - 1) == 0 ||
	       (kind == FD_LINK && strcmp(target, "anon_inode:[perf_event]") == 0);
}

static bool complete(const struct msg_manifest *manifest, const struct dispatch_fds *fds)
{
	static const enum fd_kind needed[] = {FD_RING,      FD_COUNTERS, FD_LEDGER, FD_SETTINGS,
					      FD_TELEMETRY, FD_HITS,     FD_LINK};

	if (manifest->fd_count != fds->count || !manifest->identity || !manifest->generation)
		return false;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (find(manifest, needed[i]) < 0)
			return false;
	for (uint32_t i = 0; i < fds->count; i++)
		if (!is_bpf(fds->fds[i], manifest->fds[i].kind))
			return false;
	return true;
}

/* The kernel refuses to map beyond a map's memory, so no length can lie. */
static const void *map_readable(const struct msg_manifest *manifest, const struct dispatch_fds *fds,
				enum fd_kind kind, size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ, MAP_SHARED, fds->fds[find(manifest, kind)], 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static void unmap_one(const void *mem, size_t len)
{
	if (mem)
		munmap((void *)(uintptr_t)mem, len);
}

static void unmap(struct custody *custody)
{
	unmap_one(custody->counters, COUNTERS_BYTES);
	unmap_one(custody->ledger, sizeof(*custody->ledger));
	unmap_one(custody->telemetry, TELEMETRY_BYTES);
	unmap_one(custody->settings, sizeof(*custody->settings));
	unmap_one(custody->hits, HITS_BYTES);
	custody->counters = NULL;
	custody->ledger = NULL;
	custody->telemetry = NULL;
	custody->settings = NULL;
	custody->hits = NULL;
}

int custody_take(struct custody *custody, const struct msg_manifest *manifest,
		 struct dispatch_fds *fds)
{
	struct custody taken = {.manifest = *manifest};

	if (!complete(manifest, fds))
		return -EPROTO;
	taken.counters = map_readable(manifest, fds, FD_COUNTERS, COUNTERS_BYTES);
	taken.ledger = map_readable(manifest, fds, FD_LEDGER, sizeof(*taken.ledger));
	taken.telemetry = map_readable(manifest, fds, FD_TELEMETRY, TELEMETRY_BYTES);
	taken.settings = map_readable(manifest, fds, FD_SETTINGS, sizeof(*taken.settings));
	taken.hits = map_readable(manifest, fds, FD_HITS, HITS_BYTES);
	if (!taken.counters || !taken.ledger || !taken.telemetry || !taken.settings ||
	    !taken.hits) {
		unmap(&taken);
		return -EPROTO;
	}
	for (uint32_t i = 0; i < fds->count; i++)
		taken.fds[i] = dispatch_take_fd(fds, i);
	custody_release(custody);
	*custody = taken;
	return 0;
}

void custody_detach(struct custody *custody)
{
	struct msg_manifest *manifest = &custody->manifest;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < manifest->fd_count; i++) {
		if (manifest->fds[i].kind == FD_LINK || manifest->fds[i].kind == FD_ITER) {
			close(custody->fds[i]);
			continue;
		}
		manifest->fds[kept] = manifest->fds[i];
		custody->fds[kept++] = custody->fds[i];
	}
	manifest->fd_count = kept;
}

void custody_release(struct custody *custody)
{
	unmap(custody);
	for (uint32_t i = 0; i < custody->manifest.fd_count; i++)
		close(custody->fds[i]);
	custody_init(custody);
}

void custody_counters(const struct custody *custody, uint64_t out[MSG_COUNTERS])
{
	struct counters sum = {0};

	_Static_assert(MSG_COUNTERS * sizeof(out[0]) <= sizeof(sum), "custody: counters");
	if (custody->counters)
		counters_sum(custody->counters, &sum);
	memcpy(out, &sum, MSG_COUNTERS * sizeof(out[0]));
}

void custody_ledger(const struct custody *custody, uint64_t out[MSG_LEDGER])
{
	const uint64_t *values = (const uint64_t *)custody->ledger;

	memset(out, 0, MSG_LEDGER * sizeof(out[0]));
	for (uint32_t i = 0; values && i < MSG_LEDGER; i++)
		out[i] = __atomic_load_n(&values[i], __ATOMIC_RELAXED);
}

uint32_t custody_refusals(const struct custody *custody, struct msg_refusal out[MSG_REFUSALS_MAX])
{
	uint32_t found = 0;

	for (uint32_t i = 0; custody->telemetry && i < TELEMETRY_ROWS * TELEMETRY_ERRNOS; i++) {
		const struct telemetry *row = &custody->telemetry[i / TELEMETRY_ERRNOS];
		uint64_t count =
			__atomic_load_n(&row->count[i % TELEMETRY_ERRNOS], __ATOMIC_RELAXED);

		if (count && found < MSG_REFUSALS_MAX)
			out[found++] = (struct msg_refusal){.row = i / TELEMETRY_ERRNOS,
							    .err = i % TELEMETRY_ERRNOS,
							    .count = count};
	}
	return found;
}

static void sum_hits(const struct hits *hits, uint32_t slot, uint64_t out[MSG_HITS])
{
	for (uint32_t cpu = 0; cpu < HITS_SLOTS; cpu++) {
		const uint64_t *values = hits[cpu].of[slot][0];

		for (uint32_t i = 0; i < MSG_HITS; i++)
			out[i] += __atomic_load_n(&values[i], __ATOMIC_RELAXED);
	}
}

bool custody_filters(const struct custody *custody, uint32_t version, uint64_t hits[MSG_HITS],
		     uint64_t cgroups[FILTERS_MAX])
{
	const struct settings *settings = custody->settings;
	const struct settings_slot *slot;
	uint32_t active;

	memset(hits, 0, MSG_HITS * sizeof(hits[0]));
	memset(cgroups, 0, FILTERS_MAX * sizeof(cgroups[0]));
	if (!settings)
		return false;
	active = __atomic_load_n(&settings->active, __ATOMIC_ACQUIRE) & 1;
	slot = &settings->slots[active];
	if (slot->generation != version)
		return false;
	sum_hits(custody->hits, active, hits);
	for (uint32_t i = 0; i < slot->cgroup_count && i < FILTERS_MAX; i++)
		cgroups[slot->cgroups[i].filter % FILTERS_MAX] =
			__atomic_load_n(&slot->cgroups[i].id, __ATOMIC_RELAXED);
	return true;
}
