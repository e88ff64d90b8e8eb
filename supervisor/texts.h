/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a configuration as the supervisor has them: a sealed memfd that it does not read. */
#ifndef SUPERVISOR_TEXTS_H
#define SUPERVISOR_TEXTS_H

#include "supervisor/supervisor.h"

#define TEXTS_NONE ((struct texts){.fd = -1})

bool texts_are_there(const struct texts *texts);

/* Close and forget them. */
void texts_drop(struct texts *texts);

/* *from becomes *to, whose own are dropped; *from is empty then. */
void texts_move(struct texts *to, struct texts *from);

#endif
