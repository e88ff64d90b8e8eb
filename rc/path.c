/* SPDX-License-Identifier: Apache-2.0 */
#include "rc/path.h"

#include <errno.h>
#include <string.h>

#define ORGANISATION_MAX 20u /* digits: a number of 64 bits */

/* The part at *at, which goes on behind its slash. Returns its length, 0 if no slash ends it. */
static size_t take_part(const char **at)
{
	size_t len = strcspn(*at, "/");

	if ((*at)[len] != '/')
		return 0;
	*at += len + 1;
	return len;
}

static int take_text(const char **at, char *out, size_t cap)
{
	const char *from = *at;
	size_t len = take_part(at);

	if (!len || len >= cap)
		return -EINVAL;
	memcpy(out, from, len);
	out[len] = '\0';
	return 0;
}

/* Behind the owner: "datadog/" and digits, or "employee". NULL if it is neither. */
static const char *skip_owner(const char *text)
{
	static const char organisation[] = "datadog/", employee[] = "employee/";
	size_t digits;

	if (strncmp(text, employee, sizeof(employee) - 1) == 0)
		return text + sizeof(employee) - 1;
	if (strncmp(text, organisation, sizeof(organisation) - 1) != 0)
		return NULL;
	text += sizeof(organisation) - 1;
	digits = strspn(text, "0123456789");
	return digits && digits <= ORGANISATION_MAX && text[digits] == '/' ? text + digits + 1
									   : NULL;
}

int rc_path_read(const char *text, struct rc_path *path)
{
	const char *at = tuf_path_check(text) == 0 ? skip_owner(text) : NULL;

	if (!at || take_text(&at, path->product, sizeof(path->product)) < 0 ||
	    take_text(&at, path->id, sizeof(path->id)) < 0 || strchr(at, '/'))
		return -EINVAL;
	return 0;
}
