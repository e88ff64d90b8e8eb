/* SPDX-License-Identifier: Apache-2.0 */
/* The list below "filters": which connections are recorded. */
#ifndef VERIFIER_FILTERS_H
#define VERIFIER_FILTERS_H

#include <stdint.h>

#include "verifier/document.h"

/*
 * Add the filters of a list to those config has already. What is wrong goes to errors; a filter
 * that is wrong is not added.
 */
void filters_read(const struct document *document, const struct node *list, struct config *config,
		  struct errors *errors);

#endif
