/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's one table: every key, its type, range, default and who may set it; and the
 * way from texts to a struct config. Pure: no files, no processes, no globals.
 */
#ifndef VERIFIER_SCHEMA_H
#define VERIFIER_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "verifier/errors.h"

/* Who may set a key. */
#define SCHEMA_LOCAL  1u /* the local configuration file */
#define SCHEMA_SOURCE 2u /* what the poller fetched */

struct schema_text {
	const char *name; /* for errors */
	const char *text;
	size_t len;
};

enum schema_type {
	SCHEMA_CHOICE,   /* one of `among`, its position */
	SCHEMA_FLAG,     /* true or false */
	SCHEMA_DURATION, /* milliseconds from least to most */
	SCHEMA_BUDGET,   /* bytes from least to most: config_apply_budget() */
	SCHEMA_PATH,     /* absolute, or the one word in `among` */
	SCHEMA_FAMILIES, /* list of those in `among`, bit by position */
	SCHEMA_FILTERS,  /* filters.h */
	SCHEMA_TYPE_COUNT,
};

struct schema_key {
	const char *path; /* "records.open" */
	enum schema_type type;
	uint32_t set_by;      /* SCHEMA_ bits */
	size_t offset;        /* of the member in struct config, for types that have one */
	const char *fallback; /* the default as one would write it; NULL = empty */
	const char *least, *most;
	const char *const *among; /* ends with NULL */
};

/* The table's row; NULL behind the last. */
const struct schema_key *schema_key_at(size_t index);

/*
 * Check the texts: the local file first, then the parts in their order; a later text overrides an
 * earlier one, filters add up. *out becomes the configuration, or the defaults if there is an
 * error. Returns 0 if the configuration is valid, -EINVAL with errors filled, -ENOMEM.
 */
int schema_check(const struct schema_text *local, const struct schema_text *parts,
		 uint32_t part_count, struct config *out, struct errors *errors);

#endif
