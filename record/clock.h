/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's CLOCK_MONOTONIC to CLOCK_REALTIME. */
#ifndef RECORD_CLOCK_H
#define RECORD_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * CLOCK_REALTIME minus CLOCK_MONOTONIC, nanoseconds, to within a microsecond or so. Both run at the
 * same rate (adjtimex(2) slews both), so it holds until the clock is set or the machine sleeps.
 */
int64_t clock_offset_ns(void);

/* A timer fd that becomes readable when that happens. The fd is the caller's; or a negative errno.
 */
int clock_watch(void);

/* Take the news off it: true if the clock was set, so that the offset is to be measured anew. */
bool clock_was_set(int watch_fd);

#endif
