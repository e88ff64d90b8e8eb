/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way a tracer comes up: named steps, each reported to the supervisor however it ends. First
 * what does not depend on the tracer; then the tracers in their order, each in its own steps, until
 * one is up; then what gives the privileges up. Only "not supported" leads on to the next tracer.
 */
#ifndef LOADER_LADDER_H
#define LOADER_LADDER_H

#include "common/child.h"
#include "common/msg.h"
#include "loader/btf.h"
#include "loader/features.h"
#include "loader/instance.h"
#include "loader/manager.h"
#include "loader/object.h"
#include "loader/room.h"
#include "loader/settings.h"
#include "loader/tracer.h"

struct ladder {
	struct child *child;
	const struct msg_config *config;
	const struct instance_env *env;
	int objects_fd; /* directory of the objects */
	int cgroups_fd; /* root of the cgroup tree; -1 = not needed, or there is none */
	struct tracer_inheritance inherited;

	/* What the steps found and made, in this order. */
	struct instance instance;
	struct btf_choice btf;
	struct features features;
	struct manager_host host;
	struct plan plan;
	struct manager manager;
	struct object object;
	struct tracer old; /* what was handed down and can't be adopted, until it is replaced */
	struct tracer tracer;
	struct settings_maps shared;
	struct room room;
	bool adopted;
	uint64_t raised_ns;  /* when the capabilities became effective; 0 = they have not */
	uint64_t dropped_ns; /* and no longer were; 0 = one still is */
};

/*
 * Climb. Returns 0 with the tracer attached, handed over, and the process closed in; a negative
 * errno after child_fail(). Whatever was taken for it on the way is given back.
 */
int ladder_climb(struct ladder *ladder);

/* How long a capability has been effective, until it was dropped or now. */
uint64_t ladder_privileged_us(const struct ladder *ladder);

/* The tracer and its programs as they are now. */
void ladder_report(const struct ladder *ladder, struct msg_tracer *report);

#endif
