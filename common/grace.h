/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for BPF programs that are under way. */
#ifndef COMMON_GRACE_H
#define COMMON_GRACE_H

/*
 * Returns when every run of a BPF program that had begun before the call is over: an RCU grace
 * period, some hundredths of a second.
 */
void grace_wait(void);

#endif
