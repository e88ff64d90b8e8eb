/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to `conntrace status`. */
#ifndef SUPERVISOR_STATUS_H
#define SUPERVISOR_STATUS_H

#include "supervisor/supervisor.h"

/* Send PROCESS for each process, LADDER for each step, SUMMARY; a client that can't take it all
   gets less. */
void status_send(struct supervisor *sup, int fd);

/* The configuration in force, and where it comes from, to a client. */
void status_send_config(const struct supervisor *sup, int fd);

#endif
