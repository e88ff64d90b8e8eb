/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of a tracer that is to be replaced, for the one that takes over. */
#ifndef LOADER_REUSE_H
#define LOADER_REUSE_H

#include <stdbool.h>

#include "loader/tracer.h"

struct bpf_object;

/* How much of the earlier tracer's maps the new one has, each with all before it. */
enum reuse {
	REUSE_NOTHING,
	REUSE_SETTINGS, /* so that one store moves the charge from one to the other */
	REUSE_STATE,    /* what is remembered of connections, counters, ledger, sequences */
	REUSE_RING,
};

/*
 * Have an object that is opened, sized and not loaded yet use the maps of old, as far as they are
 * of the shape that its own would be: type, sizes, flags. old may have none. Returns 0 with *reuse
 * set, or a negative errno.
 */
int reuse_maps(struct bpf_object *obj, const struct tracer *old, enum reuse *reuse);

#endif
