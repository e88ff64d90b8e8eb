/* SPDX-License-Identifier: Apache-2.0 */
/* What fetch.c and post.c share: a request of libcurl, within the same limits and protocols. */
#ifndef TUF_FETCH_STATE_H
#define TUF_FETCH_STATE_H

#include <curl/curl.h>

#include "tuf/fetch.h"

struct fetch {
	CURL *curl;
	struct fetch_options *options;
	int64_t until_ms; /* CLOCK_MONOTONIC */
};

/* An answer: bytes is malloc'ed, and at most max long. */
struct fetch_body {
	char *bytes;
	size_t len, cap, max;
	size_t headers; /* bytes */
	bool too_large;
	char etag[FETCH_ETAG_MAX];
	char date[FETCH_ETAG_MAX], last_modified[FETCH_ETAG_MAX]; /* "" = the answer has none */
	uint32_t retry_after_s;
};

/* Puts what into options->why; returns err. */
int fetch_say(struct fetch_options *options, int err, const char *what);

/*
 * The next request, whose answer goes to body; 0 ms: the caller ends it. Body and error must live
 * until it has ended. Returns 0 or -EIO with why.
 */
int fetch_prepare(struct fetch *fetch, const char *url, long timeout_ms, struct fetch_body *body,
		  char error[CURL_ERROR_SIZE]);

/* It is a POST of JSON: that and its headers, NULL for want of memory, likewise. */
int fetch_prepare_json(struct fetch *fetch, const char *json, struct curl_slist *headers);

/* Those: curl's own would name another type, and wait for leave to send much. NULL: no memory. */
struct curl_slist *fetch_json_headers(void);

/* What fetch_get() returns for a request that has ended; writes options. */
int fetch_judge(struct fetch *fetch, CURLcode code, const char *error,
		const struct fetch_body *body);

#endif
