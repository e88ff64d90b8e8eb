/* SPDX-License-Identifier: Apache-2.0 */
/* What became of configurations: told to the log, to the poller, and to who asks. */
#ifndef SUPERVISOR_VERDICT_H
#define SUPERVISOR_VERDICT_H

#include "supervisor/supervisor.h"

/* Of the local file. text says more: why not, or with which version. */
void verdict_on_local(struct supervisor *sup, enum verdict verdict, const char *text);

/*
 * Of what a source sent. origins: which parts these are, NULL = that is not known. checked: whose
 * errors are the parts', NULL = it is not about those.
 */
void verdict_on_source(struct supervisor *sup, enum verdict verdict, const char *text,
		       const struct config_origins *origins, const struct msg_checked *checked);

/* With the local file these parts came into force, that a source had sent before. */
void verdict_stored(struct supervisor *sup, const struct config_origins *origins);

/* The last one of all. Before the first it is REFUSED, for no reason. */
const struct msg_history_entry *verdict_last(const struct supervisor *sup);

/* There is no source any more. */
void verdict_forget_source(struct supervisor *sup);

#endif
