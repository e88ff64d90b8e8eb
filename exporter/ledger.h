/* SPDX-License-Identifier: Apache-2.0 */
/* The account of what was done with the records, in a map that outlives this process. */
#ifndef EXPORTER_LEDGER_H
#define EXPORTER_LEDGER_H

#include <stdint.h>

/* Only one process writes; others read meanwhile and must not see half a number. */
static inline void ledger_add(uint64_t *count, uint64_t n)
{
	if (n)
		__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

static inline void ledger_set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

#endif
