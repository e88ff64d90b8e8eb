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
	bool loopback_http;  /* plain http:// to 127.0.0.0/8, ::1 and localhost: for tests */
	char why[FETCH_WHY_MAX]; /* of what failed last */
};

/*
 * options must live until fetch_close(). Returns 0, or a negative errno with why. Once in a process
 * at a time.
 */
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

#endif
