/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/maps.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* All of a map that has so many bytes, rounded up to pages. */
static int map_whole(void **memory, int fd, size_t len_bytes, int prot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (len_bytes + page - 1) & ~(page - 1);
	void *map = mmap(NULL, len, prot, MAP_SHARED, fd, 0);
	void *more;

	if (map == MAP_FAILED)
		return -errno;
	/* The kernel refuses to map beyond a map's memory: whatever has more is another map. */
	more = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)len);
	if (more != MAP_FAILED) {
		munmap(more, page);
		munmap(map, len);
		return -EINVAL;
	}
	*memory = map;
	return 0;
}

int maps_open_counters(const struct counters **slots, int fd)
{
	void *memory = NULL;
	int err = map_whole(&memory, fd, COUNTER_SLOTS * sizeof(**slots), PROT_READ);

	if (!err)
		*slots = memory;
	return err;
}

int maps_open_ledger(struct ledger **ledger, int fd)
{
	void *memory = NULL;
	int err = map_whole(&memory, fd, sizeof(**ledger), PROT_READ | PROT_WRITE);

	if (!err)
		*ledger = memory;
	return err;
}
