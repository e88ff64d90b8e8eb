/* SPDX-License-Identifier: Apache-2.0 */
/* Going on with what an earlier loader left in the supervisor's custody. */
#ifndef LOADER_HANDOVER_H
#define LOADER_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "loader/tracer.h"

/*
 * Whether these fds can be gone on with: complete, of the object with this identity, with a ring of
 * this size, each what its name says, all of one load. Asks the kernel about each; needs CAP_BPF
 * effective on kernels before 5.16 or so.
 * Returns 0, or a negative errno with what stands against it in why; the fds stay open either way.
 */
int handover_check(const struct tracer *tracer, uint64_t identity, uint32_t ring_bytes, char *why,
		   size_t cap);

#endif
