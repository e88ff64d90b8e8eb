/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an object to programs that run. Needs CAP_BPF and CAP_PERFMON effective. */
#ifndef LOADER_ATTACH_H
#define LOADER_ATTACH_H

#include <stddef.h>
#include <stdint.h>

#include "loader/btf.h"
#include "loader/manager.h"
#include "loader/object.h"
#include "loader/tracer.h"

/* What a tracer is made of. */
struct attach_from {
	const struct object *object;
	const struct btf_choice *btf;
	const struct tracer *old; /* whose maps are used as far as they fit (manager.reuse) */
};

/*
 * Create the maps and have the planned programs verified; their fds become the tracer's, which must
 * have none. Returns 0, -EACCES if the kernel's verifier refused a program, another negative errno;
 * with what libbpf or the verifier said in why.
 */
int attach_load(struct manager *manager, struct tracer *tracer, const struct attach_from *from,
		char *why, size_t cap);

/*
 * Attach the loaded programs; the links become the tracer's. What passes (EAGAIN, EBUSY ...) is
 * tried again. An optional program that can't be attached is left out and named in why; a required
 * one that can't is the error. Returns how many were left out, or a negative errno.
 */
int attach_links(struct manager *manager, struct tracer *tracer, char *why, size_t cap);

#endif
