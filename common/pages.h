/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for tables that are taken once: zero, and of the system only as far as it is touched. */
#ifndef COMMON_PAGES_H
#define COMMON_PAGES_H

#include <stddef.h>

/* NULL if there is none. */
void *pages_take(size_t bytes);

/* NULL is ignored. */
void pages_give(void *pages, size_t bytes);

#endif
