/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out: link with SCARCE_FLAGS (Makefile), and one of the allocations that our code
 * makes, or jansson after tuf_process_init(), can be told to fail.
 */
#ifndef TESTS_TUF_SCARCE_H
#define TESTS_TUF_SCARCE_H

#include <stdbool.h>

/* The n-th allocation from now fails, n from 1; 0: none does. */
void scarce_after(unsigned long n);

/* No more fails. Returns whether one did since scarce_after(). */
bool scarce_end(void);

#endif
