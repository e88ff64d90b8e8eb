/* SPDX-License-Identifier: Apache-2.0 */
/* Children learn a configuration at their start: whom a change concerns is replaced. */
#ifndef SUPERVISOR_REPLACE_H
#define SUPERVISOR_REPLACE_H

#include "supervisor/supervisor.h"

/* Whether the change concerns any child. */
bool replace_is_due(const struct config *a, const struct config *b);

/* Replace those whom the change from old to what is in force concerns, or all. */
void replace_children(struct supervisor *sup, const struct config *old, bool all);

#endif
