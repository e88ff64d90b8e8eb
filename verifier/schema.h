/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from texts to a struct config, by the table of keys.h. Pure: no files, no processes, no
 * globals.
 */
#ifndef VERIFIER_SCHEMA_H
#define VERIFIER_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "common/keys.h"
#include "verifier/errors.h"

struct schema_text {
	const char *name; /* for errors */
	const char *text;
	size_t len;
};

/*
 * Check the texts: the local file first, then the parts in their order; a later text overrides an
 * earlier one, filters add up. *out becomes the configuration, or the defaults if there is an
 * error; *origins says of each value which text it is from. There are at most CONFIG_TEXTS_MOST
 * texts. Returns 0 if the configuration is valid, -EINVAL with errors filled, -ENOMEM.
 */
int schema_check(const struct schema_text *local, const struct schema_text *parts,
		 uint32_t part_count, struct config *out, struct config_origins *origins,
		 struct errors *errors);

#endif
