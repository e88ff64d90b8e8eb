/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where configuration comes from besides the local file, and what became of it. Of signed
 * configuration all is carried: the trusted root, what is stored and what was fetched go to a
 * verifier as they are, and what it says is to be kept goes to the store.
 */
#ifndef SUPERVISOR_REMOTE_H
#define SUPERVISOR_REMOTE_H

#include "supervisor/supervisor.h"

/*
 * The configuration in force, or the file of the trusted root, may name another source: open or
 * close what is stored for it. Returns whether a set is there that isn't in force yet.
 */
bool remote_follow(struct supervisor *sup);
void remote_close(struct supervisor *sup);

/* Whether signed configuration is followed: there is a root. */
bool remote_is_signed(const struct supervisor *sup);

/*
 * The time and this host's name for a CHECK; of signed configuration also the parts and their fds,
 * from fds[1] on: that of the store is the caller's to close. Returns how many, or a negative
 * errno.
 */
int remote_fill_check(struct supervisor *sup, const struct texts *bundle, struct msg_check *check,
		      int *fds);

/* The verifier's KEEP: bundle is what is under check. Returns 0 or -EPROTO. */
int remote_keep(struct supervisor *sup, const struct msg_keep *keep, const struct texts *bundle);

/*
 * What a check said: bundle is what was under check, none: what is stored was. accepted: it comes
 * into force, on probation or not.
 */
void remote_checked(struct supervisor *sup, const struct msg_signed *told,
		    const struct texts *bundle, bool accepted);

/* What was accepted last is in force for good; or what was in force before it is again. */
void remote_passed(struct supervisor *sup);
void remote_rolled_back(struct supervisor *sup);

/* Whether the same candidate may be accepted at another time. */
bool remote_is_passing(const struct msg_signed *signature);

/* The memfds of a poller's START: its root, and what is stored. Returns 0 or a negative errno. */
int remote_poller_fds(const struct supervisor *sup, int *root_fd, int *store_fd);

/* The poller's POLLED; and once in a while: has something in force expired? */
void remote_polled(struct supervisor *sup, const struct msg_polled *polled);
void remote_look_at_expiry(struct supervisor *sup);

/* Whether status is to say degraded, and what it says of the source besides verdict.h. */
bool remote_is_degraded(const struct supervisor *sup);
void remote_status(const struct supervisor *sup, struct msg_source *source);

#endif
