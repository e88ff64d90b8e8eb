/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/result.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[TUF_RESULTS] = {
	[TUF_OK] = "ok",
	[TUF_MALFORMED] = "malformed",
	[TUF_UNTRUSTED] = "untrusted",
	[TUF_ROLLBACK] = "rollback",
	[TUF_EXPIRED] = "expired",
	[TUF_TOO_LARGE] = "too large",
	[TUF_UNREACHABLE] = "unreachable",
	[TUF_UNSTORED] = "not stored",
	[TUF_NO_MEMORY] = "no memory",
};

const char *tuf_result_name(enum tuf_result result)
{
	return (unsigned int)result < TUF_RESULTS ? names[result] : "unknown";
}

enum tuf_result tuf_refuse(struct tuf_why *why, enum tuf_result result, const char *format, ...)
{
	va_list args;

	why->result = result;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return result;
}
