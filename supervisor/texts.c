/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/texts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fnv.h"
#include "common/memfd.h"

bool texts_are_there(const struct texts *texts)
{
	return texts->fd >= 0;
}

void texts_drop(struct texts *texts)
{
	if (texts->fd >= 0)
		close(texts->fd);
	*texts = TEXTS_NONE;
}

void texts_move(struct texts *to, struct texts *from)
{
	texts_drop(to);
	*to = *from;
	*from = TEXTS_NONE;
}

uint64_t texts_digest(const struct texts *texts)
{
	uint64_t hash = FNV1A_START;
	char *bytes = NULL;

	if (memfd_read(texts->fd, texts->len_bytes, &bytes) < 0)
		return 0;
	for (uint32_t i = 0; i < texts->what.part_count; i++) {
		const struct msg_part *part = &texts->what.parts[i];

		hash = fnv1a(hash, part->name, strlen(part->name) + 1);
		hash = fnv1a(hash, &part->len_bytes, sizeof(part->len_bytes));
	}
	hash = fnv1a(hash, bytes, texts->len_bytes);
	free(bytes);
	return hash;
}
