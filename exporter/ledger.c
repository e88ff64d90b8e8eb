/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/ledger.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

int ledger_open(struct ledger **ledger, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *more;

	if (map == MAP_FAILED)
		return -errno;
	/* One struct ledger is one page: whatever has a second one is a ring or another map. */
	more = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (more != MAP_FAILED) {
		munmap(more, page);
		munmap(map, page);
		return -EINVAL;
	}
	*ledger = map;
	return 0;
}
