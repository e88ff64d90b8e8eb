/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void errors_add(struct errors *errors, uint32_t line, const char *format, ...)
{
	struct msg_error *error;
	va_list args;

	errors->total++;
	if (errors->count == MSG_ERRORS_MAX)
		return;
	error = &errors->list[errors->count++];
	snprintf(error->file, sizeof(error->file), "%s", errors->file);
	error->line = line;
	va_start(args, format);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
	va_end(args);
}

static int is_utf8_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

const char *errors_quote(const char *text, char out[ERRORS_QUOTE_MAX])
{
	static const char more[] = "...";
	size_t len = strlen(text);

	if (len < ERRORS_QUOTE_MAX) {
		memcpy(out, text, len + 1);
		return out;
	}
	len = ERRORS_QUOTE_MAX - sizeof(more);
	while (len && is_utf8_continuation(text[len]))
		len--;
	snprintf(out, ERRORS_QUOTE_MAX, "%.*s%s", (int)len, text, more);
	return out;
}
