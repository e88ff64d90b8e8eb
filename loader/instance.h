/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kind of instance this is, for the order in which tracers are tried. Told from a few
 * variables of the environment and a few files that AWS ECS, Kubernetes and container runtimes are
 * documented to set; no network, and no file is read.
 */
#ifndef LOADER_INSTANCE_H
#define LOADER_INSTANCE_H

#include <stdint.h>

#include "common/config.h"
#include "common/instance_env.h"

/* Room for a value. A longer one is cut: none that a rule compares with is as long. */
#define INSTANCE_VALUE_MAX    32u
#define INSTANCE_EVIDENCE_MAX 64u

struct instance_env {
	char values[INSTANCE_ENV_COUNT][INSTANCE_VALUE_MAX]; /* "" = not set, or set to nothing */
};

struct instance {
	enum config_instance type; /* never INSTANCE_AUTO */
	/*
	 * What told: a variable, with its value if that is a known one ("ECS_FARGATE=true",
	 * "KUBERNETES_SERVICE_HOST"), a file ("/etc/ecs/ecs.config"), "configuration", or "no
	 * sign of anything else". No byte of it comes from the environment: print it as it is.
	 */
	char evidence[INSTANCE_EVIDENCE_MAX];
};

/* The variables of this process. child_init() clears them: call it before. */
void instance_capture(struct instance_env *env);

/*
 * A pure function of its arguments and of which files there are below the directory root_fd (O_PATH
 * will do). A file that can't be looked at is not there. configured: what the configuration says,
 * which is the answer unless it is INSTANCE_AUTO.
 */
void instance_detect(const struct instance_env *env, int root_fd, enum config_instance configured,
		     struct instance *out);

/* "ecs-fargate", "host", ... as in the configuration; "unknown". */
const char *instance_name(uint32_t type);

#endif
