/* SPDX-License-Identifier: Apache-2.0 */
/* Going on with what an earlier loader left in the supervisor's custody. */
#ifndef LOADER_HANDOVER_H
#define LOADER_HANDOVER_H

#include <stddef.h>

#include "loader/manager.h"
#include "loader/tracer.h"

/*
 * Whether these fds are what the manager would make: complete, maps of these sizes, each what its
 * name says, all of one load. Asks the kernel about each; needs CAP_BPF effective on kernels before
 * 5.16 or so. The state of each program is noted in the manager.
 * Returns 0, or a negative errno with what stands against it in why; the fds stay open either way.
 */
int handover_check(struct manager *manager, const struct tracer *tracer, char *why, size_t cap);

#endif
