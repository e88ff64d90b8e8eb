/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade in place: the conntraced that is installed now is tried, then executed by this process
 * in its own stead. The tracer's fds and the control socket go over by their numbers; the pid
 * stays.
 */
#ifndef SUPERVISOR_UPGRADE_H
#define SUPERVISOR_UPGRADE_H

#include "supervisor/inherit.h"
#include "supervisor/supervisor.h"

/* Names of what goes over beside the tracer (keep.h). */
#define UPGRADE_CONTROL  "control"
#define UPGRADE_CONFIG   "config"
#define UPGRADE_PROGRAMS "programs"
#define UPGRADE_OBJECTS  "objects"
#define UPGRADE_SELF     "self"

/* Where this program is, for the one that follows it. Returns 0 or a negative errno. */
int upgrade_init(struct supervisor *sup, struct inherited *inherited);

/*
 * A directory that went over, if it was not deleted; else the one of that path. Returns an fd out
 * of the children's way, or a negative errno.
 */
int upgrade_directory(struct inherited *inherited, const char *name, const char *path);

/* Begin: try `conntraced --check` of what is installed. Nothing changes before that is well. */
void upgrade_begin(struct supervisor *sup);

/* A child has ended: when it was the last one, the new conntraced is executed. */
void upgrade_next(struct supervisor *sup);

#endif
