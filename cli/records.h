/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What list and tail have in common: records come in, lines go out. They look for the cgroups
 * themselves, when a record comes: what is gone by then is not known.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include <stdbool.h>

#include "cli/cli.h"
#include "common/client.h"
#include "record/cgroups.h"

/* Large: static. */
struct records {
	const char *command; /* for error messages */
	bool json;
	bool done;    /* DONE came */
	bool failed;  /* and said that it went wrong, or the records made no sense */
	bool unheard; /* standard output takes no more */
	int64_t offset_ns;
	struct cgroups cgroups;
};

/* The handlers of RECORDS and DONE; ctx is a struct records. */
extern const struct dispatch_table records_table;

/* Connect and ask; prints the header of a table. Returns an exit code. */
int records_open(struct records *records, struct client *client, const char *command,
		 const struct cli_options *options, enum ask ask);

#endif
