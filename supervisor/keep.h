/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Custody beyond this process's life: the fds, each with a name, and a manifest in a sealed memfd,
 * are given to the service manager's fd store, or over an exec; and come back from there.
 */
#ifndef SUPERVISOR_KEEP_H
#define SUPERVISOR_KEEP_H

#include "supervisor/inherit.h"
#include "supervisor/supervisor.h"

/* How many fds the store must have room for: one tracer, and the next, before the first is out. */
#define KEEP_STORE_MAX (2u * (PROTO_FDS_MAX + 1))

/* A sealed memfd that says what is in custody; the caller's fd, or a negative errno. */
int keep_manifest(const struct custody *custody, uint32_t ring_bytes);

/* The name of that tracer's fd number index, or of its manifest. */
void keep_name(char name[INHERIT_NAME_MAX], uint32_t generation, uint32_t index);
void keep_manifest_name(char name[INHERIT_NAME_MAX], uint32_t generation);

/*
 * What comes back: the newest tracer that is whole, and of such fds as a loader hands over, goes
 * into custody, which is empty. What else there is of tracers is closed and goes out of the store.
 * What was refused is logged: then the tracer is loaded anew.
 */
void keep_restore(struct supervisor *sup, struct inherited *inherited);

/* A tracer is in custody: into the store with it, if it is another, and out with the one before. */
void keep_store(struct supervisor *sup);

#endif
