/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier leaves itself: memory, the channel and the memfds that come over it. */
#ifndef VERIFIER_SANDBOX_H
#define VERIFIER_SANDBOX_H

/*
 * Shut everything else, for good. To be called before a byte from outside is read.
 * Returns 0 or a negative errno.
 */
int sandbox_enter(void);

#endif
