/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tuf/names.h"

/* The unreserved characters of RFC 3986, section 2.3. */
static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Append len bytes of text, encoded but for what is in keep. */
static int encode(char *out, size_t cap, const char *text, size_t len, const char *keep)
{
	size_t at = strlen(out);

	for (size_t i = 0; i < len; i++) {
		bool plain = is_unreserved(text[i]) || strchr(keep, text[i]);

		if (at + (plain ? 1 : 3) >= cap)
			return -ENAMETOOLONG;
		if (plain)
			out[at++] = text[i];
		else
			at += (size_t)snprintf(out + at, cap - at, "%%%02X",
					       (unsigned char)text[i]);
		out[at] = '\0';
	}
	return 0;
}

static int append(char *out, size_t cap, const char *text)
{
	return encode(out, cap, text, strlen(text), text);
}

int tuf_name_of_role(const char *role, char name[TUF_NAME_MAX])
{
	name[0] = '\0';
	return encode(name, TUF_NAME_MAX, role, strlen(role), "") < 0 ||
			       append(name, TUF_NAME_MAX, ".json") < 0
		       ? -ENAMETOOLONG
		       : 0;
}

int tuf_url_of_role(const char *role, uint64_t version, char url[TUF_URL_MAX])
{
	url[0] = '\0';
	if (version)
		snprintf(url, TUF_URL_MAX, "%" PRIu64 ".", version);
	return encode(url, TUF_URL_MAX, role, strlen(role), "") < 0 ||
			       append(url, TUF_URL_MAX, ".json") < 0
		       ? -ENAMETOOLONG
		       : 0;
}

int tuf_url_of_target(const char *path, const char *hash, char url[TUF_URL_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
	int err;

	url[0] = '\0';
	err = encode(url, TUF_URL_MAX, path, folder, "/");
	if (!err && hash)
		err = append(url, TUF_URL_MAX, hash) < 0 ? -ENAMETOOLONG
							 : append(url, TUF_URL_MAX, ".");
	return err ? err : encode(url, TUF_URL_MAX, path + folder, strlen(path + folder), "");
}

int tuf_name_of_target(const char *path, char *name, size_t cap)
{
	name[0] = '\0';
	return encode(name, cap, path, strlen(path), "");
}

static bool is_part(const char *part, size_t len)
{
	return len > 0 && !(len == 1 && part[0] == '.') &&
	       !(len == 2 && part[0] == '.' && part[1] == '.');
}

int tuf_path_check(const char *path)
{
	if (strlen(path) >= TUF_PATH_MAX)
		return -ENAMETOOLONG;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return -EINVAL;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (!is_part(path, len))
			return -EINVAL;
		if (path[len] == '\0')
			return 0;
		path += len + 1;
	}
}
