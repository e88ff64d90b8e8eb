/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a cgroup: what is found in it lies in it and has its form, and makes one JSON line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct cgroup_name *name, struct cgroup_part part)
{
	size_t len = strlen(name->path);

	if (part.len > CGROUP_PART_MAX || part.at + part.len > len || (part.len && part.at < 1))
		abort();
	/* Both are of characters that need no quoting anywhere, and of one name alone. */
	for (uint32_t i = part.at; i < (uint32_t)part.at + part.len; i++)
		if (name->path[i] <= ' ' || name->path[i] > '~' || name->path[i] == '/' ||
		    name->path[i] == '"')
			abort();
}

static void check_pod(const char *pod)
{
	size_t len = strlen(pod);

	if (len != 0 && len != 32 && len != CGROUP_POD_MAX - 1)
		abort();
	if (strspn(pod, "0123456789abcdef-") != len)
		abort();
}

static void check_line(const struct cgroup_name *name)
{
	const struct json_context context = {.cgroup = name};
	const struct event event = {.type = EVENT_CLOSE, .family = 4};
	char line[JSON_LINE_MAX];
	int len = json_event(&event, &context, line, sizeof(line));

	if (len <= 0 || memchr(line, '\n', (size_t)len) != line + len - 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgroup_name name;
	char *path = malloc(size + 1);

	if (!path)
		abort();
	memcpy(path, data, size);
	path[size] = '\0';
	if (cgroup_name_parse(path, &name) == 0) {
		if (strcmp(name.path, path) != 0 || name.runtime >= RUNTIME_COUNT ||
		    (name.runtime && !name.container.len))
			abort();
		check_part(&name, name.unit);
		check_part(&name, name.container);
		check_pod(name.pod);
		check_line(&name);
	}
	free(path);
	return 0;
}
