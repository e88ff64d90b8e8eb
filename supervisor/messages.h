/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor does with each message of a child. */
#ifndef SUPERVISOR_MESSAGES_H
#define SUPERVISOR_MESSAGES_H

#include "common/dispatch.h"

/* The context of its handlers is the struct proc that sent the message. */
extern const struct dispatch_table messages_table;

#endif
