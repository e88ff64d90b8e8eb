/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles of files, which a poller may have made of anything, and what is looked up in them: each
 * entry lies within the bytes; what is taken as a whole can be put together again and is the same.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "tuf/stock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const struct stock_file *file, const char *bytes, size_t size)
{
	size_t name = strlen(file->name);

	if (file->name < bytes || file->name + name + 1 > bytes + size || name == 0)
		abort();
	if (file->bytes < bytes || file->bytes + file->len_bytes > bytes + size)
		abort();
}

static void check_found(const struct stock *stock, const struct stock_file *file)
{
	if (file && (file < stock->files || file >= stock->files + stock->count))
		abort();
}

static void put_together(const struct stock *stock, const char *bytes, size_t size)
{
	struct bundle again = {.max_bytes = size};

	for (uint32_t i = 0; i < stock->count; i++)
		if (bundle_add(&again, stock->files[i].name, stock->files[i].bytes,
			       stock->files[i].len_bytes) < 0)
			abort();
	if (again.len_bytes != size || (size && memcmp(again.bytes, bytes, size) != 0))
		abort();
	bundle_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stock stock;
	struct tuf_digest digest;
	/* Of exactly its size, so that one byte too far is seen. */
	char *bytes = malloc(size ? size : 1);
	uint32_t named;
	int err;

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	memset(&stock, 0, sizeof(stock));
	err = stock_read(&stock, bytes, size);
	for (uint32_t i = 0; i < stock.count; i++)
		check_file(&stock.files[i], bytes, size);
	if (!err)
		put_together(&stock, bytes, size);
	named = stock_mark(&stock);
	for (uint32_t i = 0; i < stock.count; i++)
		if (stock.files[i].in_force && !named)
			abort();
	check_found(&stock, stock_find(&stock, "floor"));
	check_found(&stock, stock_latest(&stock, "snapshot.json", false));
	check_found(&stock, stock_latest(&stock, "targets.json", true));
	if (stock.count &&
	    tuf_digest_of(stock.files[0].bytes, stock.files[0].len_bytes, &digest) == 0 &&
	    !stock_target(&stock, &digest, false))
		abort();
	free(bytes);
	return 0;
}
