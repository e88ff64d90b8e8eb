/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's counters, as the exporter has them. */
#ifndef EXPORTER_COUNTERS_H
#define EXPORTER_COUNTERS_H

#include "bpf/event.h"

/*
 * Map the counters behind fd, which stays the caller's, for reading: COUNTER_SLOTS slots. Returns
 * 0, -EINVAL if the fd can't be the counters, or another negative errno. They stay mapped as long
 * as the process lives.
 */
int counters_open(const struct counters **slots, int fd);

#endif
