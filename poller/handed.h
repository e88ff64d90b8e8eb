/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor hands to a source of signed configuration. */
#ifndef POLLER_HANDED_H
#define POLLER_HANDED_H

#include <stddef.h>

#include "poller/source.h"
#include "tuf/stock.h"

/* Lives as long as the process. Large: static. */
struct handed {
	char *root; /* the trusted one */
	size_t root_len;
	struct stock store;
	char *stored; /* a bundle, that store points into */
};

/* Read it, and get the libraries ready that verify. Returns 0 or a negative errno. */
int handed_read(struct handed *handed, const struct source_setup *setup);

#endif
