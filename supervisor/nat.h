/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of the sockets that tell of address translation: from each loader, by our hands, to the
 * exporter. They are good for one exporter, because it alone has read their dump; and once for each
 * overrun. A fresh loader brings fresh ones; the probes stay attached meanwhile.
 */
#ifndef SUPERVISOR_NAT_H
#define SUPERVISOR_NAT_H

#include "supervisor/supervisor.h"

void nat_init(struct nat *nat);

/* What the loader sent. Returns 0, or -EPROTO if it isn't what it should be, with no fd taken. */
int nat_offer(struct supervisor *sup, const struct msg_nat *msg, struct dispatch_fds *fds);

/* A fresh exporter is up. */
void nat_exporter_up(struct supervisor *sup);

/* The exporter told its numbers. */
void nat_look_at(struct supervisor *sup, const struct msg_stats *stats);

void nat_release(struct nat *nat);

#endif
