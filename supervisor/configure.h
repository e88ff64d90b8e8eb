/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From texts to the configuration in force. The texts are only carried: a verifier child reads
 * them and answers with a checked configuration or with what is wrong. On any error the
 * configuration in force stays.
 */
#ifndef SUPERVISOR_CONFIGURE_H
#define SUPERVISOR_CONFIGURE_H

#include "supervisor/supervisor.h"

/*
 * Open the directory of the local file, as long as it can be; dir_fd: it is open already, else -1.
 * Returns 0 or a negative errno.
 */
int configure_open(struct supervisor *sup, const char *path, int dir_fd);

/*
 * Read the local file and have it checked together with what was fetched last. Returns 0, or a
 * negative errno if the file can't be read (logged; the configuration in force stays).
 */
int configure_reload(struct supervisor *sup);

/* The poller's CANDIDATE: take the memfd and have it checked. Returns 0 or -EPROTO. */
int configure_candidate(struct supervisor *sup, const struct msg_candidate *candidate,
			struct dispatch_fds *fds);

/* The verifier greeted: send it what is to be checked. */
void configure_send_check(struct supervisor *sup);

/* The verifier's KEEP. Returns 0, or -EPROTO if what it says can't be. */
int configure_keep(struct supervisor *sup, const struct msg_keep *keep);

/* The verifier's CHECKED. Returns 0, or -EPROTO if what it says can't be. */
int configure_checked(struct supervisor *sup, const struct msg_checked *checked);

/* The verifier has been given up on: the check under way failed. */
void configure_failed(struct supervisor *sup, const char *reason);

#endif
