/* SPDX-License-Identifier: Apache-2.0 */
/* What became of signed metadata, and why. */
#ifndef TUF_RESULT_H
#define TUF_RESULT_H

#define TUF_WHY_MAX 384u

enum tuf_result {
	TUF_OK,
	TUF_MALFORMED,   /* not the JSON that it should be */
	TUF_UNTRUSTED,   /* signature, threshold, type, version or hash is wrong */
	TUF_ROLLBACK,    /* older than what is known */
	TUF_EXPIRED,     /* no longer valid at the time of the run */
	TUF_TOO_LARGE,   /* over a limit */
	TUF_UNREACHABLE, /* the caller could not fetch it */
	TUF_UNSTORED,    /* the caller could not store it */
	TUF_NO_MEMORY,
	TUF_RESULTS,
};

/* text holds names from outside: escape it before a person sees it (log_error() does). */
struct tuf_why {
	enum tuf_result result;
	char text[TUF_WHY_MAX];
};

/* One word for a result, as status and logs say it ("rollback"). */
const char *tuf_result_name(enum tuf_result result);

/* Note result and text; gives the result back. */
enum tuf_result tuf_refuse(struct tuf_why *why, enum tuf_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
