/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same as signed.h, of what a local agent has: files that it says are for this host, each under
 * a path that the signed targets list.
 */
#ifndef VERIFIER_SIGNED_RC_H
#define VERIFIER_SIGNED_RC_H

#include "verifier/signed.h"

/* As signed_verify(). The parts are in the order of their paths. */
int signed_rc_verify(const struct signed_input *input, struct signed_result *result);

#endif
