/* SPDX-License-Identifier: Apache-2.0 */
/* File names and the ends of URLs, made of names that a stranger chose. */
#ifndef TUF_NAMES_H
#define TUF_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define TUF_NAME_MAX 224u  /* bytes of a metadata file's name, NUL included */
#define TUF_PATH_MAX 256u  /* bytes of a target's path, NUL included */
#define TUF_URL_MAX  1024u /* bytes of what comes behind a base URL, NUL included */

/*
 * "targets.json" in the store; of a role with other bytes than letters, digits, - . _ ~ those are
 * percent-encoded, so that no name leaves its folder. Returns 0 or -ENAMETOOLONG.
 */
int tuf_name_of_role(const char *role, char name[TUF_NAME_MAX]);

/* "3.targets.json" behind the base URL, with version 0 "targets.json". Likewise encoded. */
int tuf_url_of_role(const char *role, uint64_t version, char url[TUF_URL_MAX]);

/*
 * Behind the base URL of targets: the path, percent-encoded but for its slashes, with "hash." in
 * front of its last part unless hash is NULL.
 */
int tuf_url_of_target(const char *path, const char *hash, char url[TUF_URL_MAX]);

/* The name under which a target is kept in a folder: its path, percent-encoded, slashes as well. */
int tuf_name_of_target(const char *path, char *name, size_t cap);

/*
 * Whether a path can be asked for: 1 to 255 bytes, no empty part and none that is "." or "..", no
 * control character.
 */
int tuf_path_check(const char *path);

#endif
