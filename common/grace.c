/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grace.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONG_ENOUGH_NS 100000000

void grace_wait(void)
{
	const struct timespec wait = {.tv_nsec = LONG_ENOUGH_NS};

	/* synchronize_rcu(), which programs run under; not to be had with nohz_full. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		(void)nanosleep(&wait, NULL);
}
