/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_UPGRADE_ASK_H
#define SUPERVISOR_UPGRADE_ASK_H

/*
 * `conntraced --upgrade`: tell the one that answers at the control socket (NULL: where it is made),
 * wait until the new one traces. Says on standard output or standard error what came of it. Returns
 * the exit code.
 */
int upgrade_ask(const char *socket);

#endif
