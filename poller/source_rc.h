/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a host that already runs an agent with remote configuration: the protocol that
 * tracers speak to it (rc/rc.h), by plain http on this host or by a socket. What comes is verified
 * here, too, as the protocol wants it; nobody relies on that.
 */
#ifndef POLLER_SOURCE_RC_H
#define POLLER_SOURCE_RC_H

#include "poller/source.h"

extern const struct source source_rc;

#endif
