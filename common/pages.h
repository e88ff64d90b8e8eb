/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for tables that are taken once: zero, and of the system only as far as it is touched. */
#ifndef COMMON_PAGES_H
#define COMMON_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* NULL if there is none. */
void *pages_take(size_t bytes);

/* NULL is ignored. */
void pages_give(void *pages, size_t bytes);

/*
 * A table of max entries, found by chains of which there are as many, rounded up to a power of two:
 * *mask is that less 1. A chain holds numbers, 0 for none. Returns the entries, or NULL with
 * nothing taken.
 */
void *pages_take_table(uint32_t max, size_t entry_bytes, uint32_t **chains, uint32_t *mask);

/* As they were taken; NULL is ignored. */
void pages_give_table(void *entries, uint32_t max, size_t entry_bytes, uint32_t *chains);

#endif
