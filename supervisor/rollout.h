/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probation of what a source sent (probation.h), and the way back from it: what was in force
 * before is put in force again, as another version, and what failed is not tried again until it
 * changes or conntraced is told to reload. Both ways go as any change goes (replace.h).
 */
#ifndef SUPERVISOR_ROLLOUT_H
#define SUPERVISOR_ROLLOUT_H

#include "supervisor/supervisor.h"

/*
 * The configuration with what a source sent is in force instead of old, or has changed nothing;
 * configure.source is still what was sent before. Returns the verdict.
 */
enum verdict rollout_source(struct supervisor *sup, const struct config *old, bool changed);

/*
 * The local file was read again, and is in force with rollout_proven(). What was on probation is
 * set aside until the poller, which is replaced, sends it again. Returns the verdict.
 */
enum verdict rollout_reload(struct supervisor *sup);

/* What a source sent and that is in force, not on probation. */
const struct texts *rollout_proven(const struct supervisor *sup);

/* Why this is not tried again; NULL: it may be. */
const char *rollout_rejected(const struct supervisor *sup, const struct config *config);

/* Loader or exporter is up, or sent its numbers. */
void rollout_look(struct supervisor *sup);

/* A child crashed. */
void rollout_crashed(struct proc *proc);

/* A child was given up on. Returns true if it gets another try, with the configuration before. */
bool rollout_given_up(struct proc *proc);

#endif
