/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/texts.h"

#include <unistd.h>

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
