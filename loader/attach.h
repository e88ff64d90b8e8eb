/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an object to programs that run. Needs CAP_BPF and CAP_PERFMON effective. */
#ifndef LOADER_ATTACH_H
#define LOADER_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "loader/object.h"
#include "loader/tracer.h"

/*
 * Create the maps and have the programs verified; their fds become the tracer's, which must have
 * none. ring_bytes: a power of two, multiple of the page size.
 * Returns 0, or a negative errno with what libbpf or the verifier said in why.
 */
int attach_load(struct tracer *tracer, const struct object *object, uint32_t ring_bytes, char *why,
		size_t cap);

/* Attach the loaded programs; the links become the tracer's. Errors as above, naming the program.
 */
int attach_links(struct tracer *tracer, char *why, size_t cap);

#endif
