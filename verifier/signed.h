/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed configuration: what the poller fetched, verified again from the root that was installed,
 * and the parts of it that are for this host. No I/O, no clock.
 */
#ifndef VERIFIER_SIGNED_H
#define VERIFIER_SIGNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/msg.h"
#include "tuf/stock.h"
#include "verifier/schema.h"

/* base.yaml, one for each group, one for the host; or what a local agent has. */
#define SIGNED_PARTS_MAX MSG_PARTS_MAX
_Static_assert(SIGNED_PARTS_MAX >= CONFIG_GROUPS_MAX + 2u, "signed: room for all parts");

struct signed_bytes {
	const char *bytes;
	size_t len_bytes;
};

struct signed_input {
	struct signed_bytes root;   /* as it was installed: all trust begins there */
	struct signed_bytes store;  /* a bundle of the files that are stored */
	struct signed_bytes bundle; /* of what was fetched */
	/*
	 * Nothing was fetched: the set in force is verified once more, as of no time at all,
	 * because what expires is still in force. A part that is not in it is left out.
	 */
	bool offline;
	int64_t now_s; /* seconds since 1970, UTC */
};

/* A file that the store is to have. */
struct signed_file {
	char name[MSG_FILE_NAME_MAX];
	uint32_t why;      /* enum msg_file_why, or-ed */
	const char *bytes; /* in the bundle; NULL: it is stored already */
	size_t len_bytes;
};

/* Texts point into the input. Large: static. */
struct signed_result {
	struct msg_signed told;
	uint32_t part_count;
	char names[SIGNED_PARTS_MAX][CONFIG_NAME_MAX];
	struct schema_text parts[SIGNED_PARTS_MAX];
	bool full; /* more files than there is room for */
	uint32_t file_count;
	struct signed_file files[STOCK_FILES_MAX]; /* none: nothing changes */
};

/*
 * Verify, for the host and groups of a local configuration. told.trust is TRUST_accepted if all
 * parts are there, else why not; TRUST_none if nothing is in force (offline). Returns 0, or a
 * negative errno if the input is not what the supervisor sends.
 */
int signed_verify(const struct signed_input *input, const struct config_source *source,
		  struct signed_result *result);

#endif
