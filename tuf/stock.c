/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/stock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stock_read(struct stock *stock, const char *bundle, size_t len)
{
	struct bundle_entry entry;
	size_t at = 0;
	int more;

	while ((more = bundle_next(bundle, len, &at, &entry)) > 0) {
		if (stock->count == STOCK_FILES_MAX)
			return -E2BIG;
		stock->files[stock->count++] = (struct stock_file){
			.name = entry.name, .bytes = entry.bytes, .len_bytes = entry.len_bytes};
	}
	return more;
}

const struct stock_file *stock_find(const struct stock *stock, const char *name)
{
	for (uint32_t i = 0; i < stock->count; i++)
		if (strcmp(stock->files[i].name, name) == 0)
			return &stock->files[i];
	return NULL;
}

/* The version in front of a name, 0 if the file is another one's. */
static unsigned long long version_of(const char *file, const char *name)
{
	char *rest;
	unsigned long long version;

	if (file[0] < '1' || file[0] > '9')
		return 0;
	version = strtoull(file, &rest, 10);
	return rest[0] == '.' && strcmp(rest + 1, name) == 0 ? version : 0;
}

const struct stock_file *stock_latest(const struct stock *stock, const char *name, bool in_force)
{
	const struct stock_file *latest = NULL;
	unsigned long long highest = 0;

	for (uint32_t i = 0; i < stock->count; i++) {
		unsigned long long version = version_of(stock->files[i].name, name);

		if (version <= highest || (in_force && !stock->files[i].in_force))
			continue;
		highest = version;
		latest = &stock->files[i];
	}
	return latest;
}

bool stock_is_root(const char *name)
{
	return version_of(name, "root.json") > 0;
}

const struct stock_file *stock_target(const struct stock *stock, const struct tuf_digest *listed,
				      bool in_force)
{
	for (uint32_t i = 0; i < stock->count; i++) {
		const struct stock_file *file = &stock->files[i];
		struct tuf_digest digest;

		if (file->len_bytes != listed->length || (in_force && !file->in_force))
			continue;
		if (tuf_digest_of(file->bytes, file->len_bytes, &digest) == 0 &&
		    tuf_digest_fits(&digest, listed))
			return file;
	}
	return NULL;
}

uint32_t stock_mark(struct stock *stock)
{
	const struct stock_file *active = stock_find(stock, "active");
	const char *at = active ? active->bytes : NULL;
	const char *end = active ? at + active->len_bytes : NULL;
	uint32_t named = 0;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);

		for (uint32_t i = 0; i < stock->count; i++)
			if (strlen(stock->files[i].name) == len &&
			    memcmp(stock->files[i].name, at, len) == 0)
				stock->files[i].in_force = true;
		named += len ? 1 : 0;
		at = newline ? newline + 1 : end;
	}
	return named;
}
