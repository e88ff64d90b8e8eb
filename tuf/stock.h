/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files at hand, from which a run of the state machine is answered where there is no folder and no
 * network: what is stored, what was fetched. The bytes stay the caller's and must live as long.
 */
#ifndef TUF_STOCK_H
#define TUF_STOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bundle.h"
#include "tuf/digest.h"
#include "tuf/tuf.h"

#define STOCK_FILES_MAX BUNDLE_FILES_MAX
_Static_assert(STOCK_FILES_MAX > 2 * TUF_ROOTS_MAX,
	       "stock: as much room as for roots for all else");

struct stock_file {
	const char *name;
	const char *bytes;
	size_t len_bytes;
	bool in_force; /* of the set that is in force: stock_mark() */
};

/* Large: static. */
struct stock {
	uint32_t count;
	struct stock_file files[STOCK_FILES_MAX];
};

/* All files of a bundle (common/bundle.h). Returns 0, -EPROTO, or -E2BIG. */
int stock_read(struct stock *stock, const char *bundle, size_t len);

/* The file of that name; NULL if there is none. */
const struct stock_file *stock_find(const struct stock *stock, const char *name);

/*
 * The file of the highest version: of "snapshot.json" it is "12.snapshot.json" rather than
 * "9.snapshot.json". in_force: only of those that are. NULL if there is none.
 */
const struct stock_file *stock_latest(const struct stock *stock, const char *name, bool in_force);

/* One whose content is what a target lists, whatever its name; NULL if there is none. */
const struct stock_file *stock_target(const struct stock *stock, const struct tuf_digest *listed,
				      bool in_force);

/* Mark those as in force that the file "active" names, one a line. Returns how many it names. */
uint32_t stock_mark(struct stock *stock);

/* Whether a file is a root of the history, "7.root.json". */
bool stock_is_root(const char *name);

#endif
