/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to `conntrace status`. */
#ifndef SUPERVISOR_STATUS_H
#define SUPERVISOR_STATUS_H

#include "supervisor/supervisor.h"

/* Send PROCESS for each process, LADDER for each step, SUMMARY; a client that can't take it all
   gets less. */
void status_send(struct supervisor *sup, int fd);

/* Where configuration comes from, and what became of it; overwritten by the next call. */
const struct msg_source *status_source(const struct supervisor *sup);

/* The configuration in force, and where it comes from, to a client. */
void status_send_config(const struct supervisor *sup, int fd);

#endif
