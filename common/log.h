/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per event on standard error. Lower case, subject first, no full stop:
 * "loader: attach inet_sock_set_state: operation not permitted".
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name stands before each line ("conntraced"); must live as long as the process. */
void log_init(const char *name, enum log_level most);

/*
 * Whatever the arguments hold, the line stays one line of printable text: other bytes are escaped.
 * Under systemd (JOURNAL_STREAM set) the line carries its priority for the journal.
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Copy text into out (cap bytes, always terminated), bytes outside printable ASCII and the
 * backslash as \xNN, cut where it no longer fits.
 */
void log_escape(const char *text, char *out, size_t cap);

#endif
