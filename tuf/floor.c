/* SPDX-License-Identifier: Apache-2.0 */
/* How far the versions had come, apart from the metadata. */
#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"
#include "tuf/state.h"

/* The roles that sign without a person: their keys, as one number to compare. */
static int digest_online(const struct tuf_metadata *root, uint8_t digest[TUF_SHA256_LEN])
{
	json_t *both = json_pack("[OO]", tuf_root_role(root, "timestamp"),
				 tuf_root_role(root, "snapshot"));
	char *bytes = NULL;
	size_t len;
	int err = both ? tuf_json_canonical(both, &bytes, &len) : -1;

	if (!err && EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL) != 1)
		err = -1;
	free(bytes);
	json_decref(both);
	return err;
}

uint64_t state_floor(const struct tuf *tuf, uint64_t version)
{
	uint8_t keys[TUF_SHA256_LEN];

	if (version && digest_online(&tuf->roles[TUF_ROOT], keys) == 0 &&
	    memcmp(keys, tuf->options.floor.online_keys, sizeof(keys)) != 0)
		return 0;
	return version;
}

uint64_t state_highest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void tuf_floor(const struct tuf *tuf, struct tuf_floor *floor)
{
	*floor = tuf->options.floor;
	if (!state_has(tuf, TUF_ROOT))
		return;
	floor->root = state_highest(floor->root, tuf->roles[TUF_ROOT].version);
	/* Before, the root may be an old one, whose online keys say nothing about the floor's. */
	if (!tuf->answered)
		return;
	floor->timestamp = state_highest(state_floor(tuf, floor->timestamp),
					 tuf->roles[TUF_TIMESTAMP].version);
	floor->snapshot =
		state_highest(state_floor(tuf, floor->snapshot), tuf->roles[TUF_SNAPSHOT].version);
	(void)digest_online(&tuf->roles[TUF_ROOT], floor->online_keys);
}
