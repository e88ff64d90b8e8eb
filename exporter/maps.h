/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of counts, which outlive this process, as the exporter has them. */
#ifndef EXPORTER_MAPS_H
#define EXPORTER_MAPS_H

#include "bpf/event.h"

/*
 * Map the counters behind fd for reading, COUNTER_SLOTS slots; or the ledger. The fd stays the
 * caller's. Returns 0, -EINVAL if the fd can't be that, or another negative errno. They stay mapped
 * as long as the process lives.
 */
int maps_open_counters(const struct counters **slots, int fd);
int maps_open_ledger(struct ledger **ledger, int fd);

#endif
