/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pages.h"

#include <sys/mman.h>

void *pages_take(size_t bytes)
{
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void pages_give(void *pages, size_t bytes)
{
	if (pages)
		munmap(pages, bytes);
}

static uint32_t chains_for(uint32_t max)
{
	uint32_t chains = 1;

	while (chains < max)
		chains *= 2;
	return chains;
}

void *pages_take_table(uint32_t max, size_t entry_bytes, uint32_t **chains, uint32_t *mask)
{
	uint32_t chain_count = chains_for(max);
	void *entries = pages_take(max * entry_bytes);

	*chains = pages_take(chain_count * sizeof(**chains));
	*mask = chain_count - 1;
	if (entries && *chains)
		return entries;
	pages_give_table(entries, max, entry_bytes, *chains);
	*chains = NULL;
	return NULL;
}

void pages_give_table(void *entries, uint32_t max, size_t entry_bytes, uint32_t *chains)
{
	pages_give(entries, max * entry_bytes);
	pages_give(chains, chains_for(max) * sizeof(*chains));
}
