/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/counters.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS_BYTES (COUNTER_SLOTS * sizeof(struct counters))

int counters_open(const struct counters **slots, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (SLOTS_BYTES + page - 1) & ~(page - 1);
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
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
	*slots = map;
	return 0;
}
