/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
	const char *name;
	enum log_level most;
	bool journal;
} self = {.name = "conntrace", .most = LOG_LEVEL_INFO};

void log_init(const char *name, enum log_level most)
{
	self.name = name;
	self.most = most;
	self.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_escape(const char *text, char *out, size_t cap)
{
	size_t at = 0;

	for (; *text && at + 5 <= cap; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c < 0x7f && c != '\\')
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, cap - at, "\\x%02x", c);
	}
	if (cap)
		out[at] = '\0';
}

/* syslog(3) priorities */
static const int priorities[] = {[LOG_LEVEL_ERROR] = 3,
				 [LOG_LEVEL_WARNING] = 4,
				 [LOG_LEVEL_INFO] = 6,
				 [LOG_LEVEL_DEBUG] = 7};

__attribute__((format(printf, 2, 0))) static void log_line(enum log_level level, const char *format,
							   va_list args)
{
	char text[1024], escaped[1100], line[1200];
	int len;

	if (level > self.most)
		return;
	vsnprintf(text, sizeof(text), format, args);
	log_escape(text, escaped, sizeof(escaped));
	if (self.journal)
		len = snprintf(line, sizeof(line), "<%d>%s: %s\n", priorities[level], self.name,
			       escaped);
	else
		len = snprintf(line, sizeof(line), "%s: %s\n", self.name, escaped);
	/* A log that can't be written has nowhere to say so. */
	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

#define DEFINE(name, level) \
	void name(const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		log_line(level, format, args); \
		va_end(args); \
	}

DEFINE(log_error, LOG_LEVEL_ERROR)
DEFINE(log_warning, LOG_LEVEL_WARNING)
DEFINE(log_info, LOG_LEVEL_INFO)
DEFINE(log_debug, LOG_LEVEL_DEBUG)
