/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/textbuf.h"

#include <stdarg.h>
#include <stdio.h>

void textbuf_add(struct textbuf *text, const char *format, ...)
{
	size_t room = text->cap - text->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text->out + text->len, room, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= room) {
		text->out[text->len] = '\0';
		text->full = true;
		return;
	}
	text->len += (size_t)len;
}
