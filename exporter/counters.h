/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's counters, to read. */
#ifndef EXPORTER_COUNTERS_H
#define EXPORTER_COUNTERS_H

#include "bpf/event.h"

/*
 * Map the counters behind fd, which stays the caller's, for reading: COUNTER_SLOTS slots. Returns
 * 0, -EINVAL if the fd can't be the counters, or another negative errno. They stay mapped as long
 * as the process lives.
 */
int counters_open(const struct counters **slots, int fd);

/* Add up the slots. Each counter only ever grows, from one call to the next, too. */
void counters_sum(const struct counters *slots, struct counters *sum);

#endif
