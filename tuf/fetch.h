/* SPDX-License-Identifier: Apache-2.0 */
/* Files by https:// and file:///, each GET once, within limits that are kept while reading. */
#ifndef TUF_FETCH_H
#define TUF_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_WHY_MAX     256u
#define FETCH_BASE_MAX    1024u /* bytes of a base URL, NUL included */
#define FETCH_TIMEOUT_MAX 600u  /* seconds */

struct fetch;

struct fetch_options {
	const char *agent;   /* User-Agent: "conntrace-tuf/0.1.0" */
	const char *ca_file; /* certificates to trust in place of the system's; NULL: those */
	uint32_t timeout_s;  /* of one request, from 1 to FETCH_TIMEOUT_MAX; all together ten times
				that, from fetch_open() */
	bool loopback_http;  /* plain http:// to 127.0.0.0/8, ::1 and localhost */
	const char *unix_socket; /* that requests go to, whatever host a URL names; NULL: to that
				    host */
	/*
	 * Called at least once a second while a request is under way; false ends it. NULL: nobody
	 * wants to know.
	 */
	bool (*breathe)(void *ctx);
	void *ctx;

	/* Written by fetch_get(): */
	char why[FETCH_WHY_MAX]; /* of what failed last */
	long status;             /* of the last answer; 0: none, or none of http */
	uint32_t retry_after_s;  /* that it asks for; 0: it doesn't */
};

/* Bytes of an entity tag, NUL included. */
#define FETCH_ETAG_MAX 128u

/* options must live until fetch_close(). Returns 0, or a negative errno with why. */
int fetch_open(struct fetch **fetch, struct fetch_options *options);
void fetch_close(struct fetch *fetch);

/*
 * Whether a base URL can be used: its scheme, and nothing in it but scheme, host, port and path.
 * Returns 0, or -EINVAL with why and what would do.
 */
int fetch_check_base(struct fetch *fetch, const char *base);

/*
 * Get base/relative; base with or without a slash at its end, relative percent-encoded. Of
 * file:/// both are decoded, as a server would, but relative never leads out of base. *bytes is
 * malloc'ed (the caller frees it). Returns 0; -ENOENT if the server says that there is none (404,
 * 403: a store that lists nothing to strangers says that); -EFBIG if there are more than max_bytes;
 * -EIO for everything else: no answer, a broken one, too slow, another status. Errors come with
 * why.
 */
int fetch_get(struct fetch *fetch, const char *base, const char *relative, size_t max_bytes,
	      char **bytes, size_t *len);

/*
 * The same, if it isn't what carried *etag: -EALREADY if it is. "" asks for it in any case. etag
 * becomes that of what was got; "" if there is none, or if what was got is so new that another
 * version of it may have the same.
 */
int fetch_get_changed(struct fetch *fetch, const char *base, const char *relative, size_t max_bytes,
		      char etag[FETCH_ETAG_MAX], char **bytes, size_t *len);

/*
 * Post JSON to base/relative, of http. Returns 0 if the server answered, with whatever
 * options->status; *bytes is malloc'ed (the caller frees it), empty unless that is 200. -EFBIG,
 * -EIO as fetch_get().
 */
int fetch_post(struct fetch *fetch, const char *base, const char *relative, const char *json,
	       size_t max_bytes, char **bytes, size_t *len);

/* The time for all requests together begins anew. */
void fetch_start(struct fetch *fetch);

/* Connections of earlier requests are closed. Returns 0, or a negative errno with why. */
int fetch_renew(struct fetch *fetch);

#endif
