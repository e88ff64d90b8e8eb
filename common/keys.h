/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration's one table: every key, its type, range, default and who may set it. */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

/* Who may set a key. */
#define SCHEMA_LOCAL  1u /* the local configuration file */
#define SCHEMA_SOURCE 2u /* what the poller fetched */

enum schema_type {
	SCHEMA_CHOICE,   /* one of `among`, its position */
	SCHEMA_FLAG,     /* true or false */
	SCHEMA_DURATION, /* milliseconds from least to most */
	SCHEMA_BUDGET,   /* bytes from least to most: config_apply_budget() */
	SCHEMA_PATH,     /* absolute, or the one word in `among` */
	SCHEMA_URL,      /* of a source */
	SCHEMA_AGENT,    /* likewise: of a local agent */
	SCHEMA_REPORT,   /* likewise: that is told of it */
	SCHEMA_LABEL,    /* name of a host */
	SCHEMA_LABELS,   /* list of groups */
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

/* The row of a key, NULL if there is none. */
const struct schema_key *schema_find_key(const char *path);

/* Its place in the table. */
uint32_t schema_key_index(const struct schema_key *key);

#endif
