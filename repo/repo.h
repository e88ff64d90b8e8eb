/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A repository of signed configuration in a folder:
 *
 *	DIR/metadata/   what is published: N.root.json, N.targets.json, N.ROLE.json, ...
 *	DIR/targets/    the files, each with its hash in its name
 *	DIR/keys/       private keys; those of root and targets belong elsewhere
 *	DIR/staged/     ROLE.json that waits for signatures
 */
#ifndef REPO_REPO_H
#define REPO_REPO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/keyring.h"
#include "tuf/metadata.h"

#define REPO_LIST_MAX 64u /* of each option that may be given several times */
#define REPO_ROLE_MAX 64u /* bytes of a role's name, NUL included */

/* Exit codes. */
enum { REPO_DONE = 0, REPO_FAILED = 1, REPO_USAGE = 2, REPO_STAGED = 3 };

/* An option ROLE=NUMBER, and the options of one kind. */
struct repo_number {
	char role[REPO_ROLE_MAX];
	uint32_t number;
};

struct repo_numbers {
	size_t count;
	struct repo_number list[REPO_LIST_MAX];
};

struct repo_words {
	size_t count;
	const char *list[REPO_LIST_MAX];
};

struct repo_options {
	const char *dir;
	const char *role; /* --role */
	const char *file; /* --file */
	enum key_type key_type;
	bool inconsistent, terminating, keep;
	struct repo_words key_dirs, keys, public_keys;
	struct repo_numbers days, counts, thresholds;
	struct repo_words arguments; /* behind the command and DIR */
};

/* The number for a role, or what there is otherwise. */
uint32_t repo_number(const struct repo_numbers *numbers, const char *role, uint32_t otherwise);

struct repo {
	const struct repo_options *options;
	int dir_fd, metadata_fd, targets_fd, staged_fd;
	struct keyring *ring;
	struct tuf_metadata root; /* published; whole is NULL: none yet */
	bool staged;              /* something waits for signatures */
};

/* Errors are logged; each returns 0 or -1 unless it says otherwise. */

/* Open what is there, or make it; read the keys. repo_close() follows, whatever it returns. */
int repo_open(struct repo *repo, const struct repo_options *options, bool make);
void repo_close(struct repo *repo);

/* That of a command which came to err. */
int repo_exit_code(const struct repo *repo, int err);

/* Whether a name can be that of a delegated role: a to z, digits, - and _. */
bool repo_is_role_name(const char *name);

/* The folder of keys that are made: the first --key-dir, else DIR/keys. */
int repo_key_folder(const struct repo *repo, char *path, size_t cap);

/* Version of what is published of a role, 0 of what is not. -1 on error. */
int64_t repo_version(const struct repo *repo, const char *role);

/* What is published of a role, as bytes (malloc'ed) and as JSON (the caller's). NULL: nothing. */
json_t *repo_published(const struct repo *repo, const char *role);
int repo_published_bytes(const struct repo *repo, const char *role, char **bytes, size_t *len);

/* What is staged, else what is published; the whole file. NULL: neither. */
json_t *repo_latest(const struct repo *repo, const char *role);
bool repo_is_staged(const struct repo *repo, const char *role);

/* A new body: type, version behind the published one, expiry from now. */
json_t *repo_body(const struct repo *repo, const char *type, const char *role, uint32_t days);

/* Set version and expiry of a body anew. */
int repo_renew(const struct repo *repo, json_t *body, const char *role, uint32_t days);

/*
 * Sign a body with those keys of its role that are here, in addition to the signatures there are
 * (NULL: none), and publish it, or stage it if that is not enough. Takes both over. Returns 0 or
 * -1, and sets repo->staged.
 */
int repo_submit(struct repo *repo, const char *role, json_t *body, json_t *signatures);

/* Put a body that is not signed yet where repo_latest() finds it. Takes it over. */
int repo_stage(const struct repo *repo, const char *role, json_t *body);

/* New snapshot and timestamp if something they list changed, or if renew is set. */
int repo_refresh(struct repo *repo, bool renew);

/* What follows when something was published: sign what no longer verifies, then refresh. */
int repo_settle(struct repo *repo);

/* The default days of validity. */
uint32_t repo_days(const struct repo *repo, const char *role);

/* The commands: each returns an exit code. */
int repo_init(const struct repo_options *options);
int repo_key(const struct repo_options *options);
int repo_add(const struct repo_options *options);
int repo_remove(const struct repo_options *options);
int repo_delegate(const struct repo_options *options);
int repo_sign(const struct repo_options *options);
int repo_refresh_command(const struct repo_options *options);
int repo_rotate(const struct repo_options *options);

/* Whether what is published of a role verifies by those who must have signed it now. */
bool repo_is_valid(const struct repo *repo, const char *role);

/* Sign a whole file's body, replacing this key's earlier signature. */
int repo_add_signature(json_t *whole, const struct keyring_key *key);

/* "keyids" of count keys that are made for a role, added to a map of keys. NULL on error. */
json_t *repo_make_keys(struct repo *repo, const char *role, uint32_t count, json_t *keys);

/* "keyids" of the files of --public-key, likewise. */
json_t *repo_take_public_keys(const struct repo *repo, json_t *keys);

#endif
