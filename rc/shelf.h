/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the protocol as they are stored, and as they go from the poller to the verifier
 * (common/bundle.h): "3.root.json", "7.targets.json", and of each configuration "HASH.PATH", its
 * path percent-encoded, so that the name alone says which it is.
 */
#ifndef RC_SHELF_H
#define RC_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include "common/bundle.h"
#include "rc/rc.h"
#include "tuf/stock.h"

#define SHELF_NAME_MAX  240u /* NUL included; what is longer isn't taken */
#define SHELF_FLOOR_MAX 256u

/* An update that points into stocks. Large: static. */
struct shelf {
	struct rc_update update;
	struct rc_blob roots[TUF_ROOTS_MAX];
	struct rc_blob files[RC_FILES_MAX];
	char paths[RC_FILES_MAX][TUF_PATH_MAX];
	const char *configs[RC_FILES_MAX];
};

/*
 * What was fetched. Roots are those behind a version, as far as the chain goes in both together.
 * Returns 0; -ENOENT if there are no targets; -E2BIG, -EPROTO if it isn't what shelf_bundle()
 * makes.
 */
int shelf_read_bundle(struct shelf *shelf, const struct stock *store, const struct stock *bundle,
		      uint64_t root_version);

/*
 * What is in force in a store, whose files are marked here. Returns 0; -ENOENT if nothing is;
 * -EBADMSG if one of its files is gone; or as shelf_read_bundle().
 */
int shelf_read_store(struct shelf *shelf, struct stock *store, uint64_t root_version);

/* Add all that is in force, and the roots behind the trusted one. Returns as bundle_add() does. */
int shelf_bundle(const struct rc *rc, struct bundle *bundle);

/* Names of files. Both return 0 or -ENAMETOOLONG. */
int shelf_name_metadata(const char *role, uint64_t version, char name[SHELF_NAME_MAX]);
int shelf_name_file(const struct rc_file *file, char name[SHELF_NAME_MAX]);

/* How far the versions had come, and when something was accepted last (seconds since 1970, UTC). */
struct shelf_memory {
	struct rc_floor floor;
	int64_t time_s;
};

/* From the file "floor": zeros if there is none that can be read. */
void shelf_read_memory(const struct stock *store, struct shelf_memory *memory);
void shelf_write_memory(const struct shelf_memory *memory, char text[SHELF_FLOOR_MAX]);

#endif
