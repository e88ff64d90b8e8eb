/* SPDX-License-Identifier: Apache-2.0 */
/* One POST of JSON that its process does not wait for. */
#ifndef TUF_POST_H
#define TUF_POST_H

#include "tuf/fetch.h"

#define POST_STEP_MS 100u

struct post;

/*
 * options must live until post_close(); timeout_s is the time from the name looked up to the end of
 * the answer, breathe is not called. Returns 0, or a negative errno with why.
 */
int post_open(struct post **post, struct fetch_options *options);
void post_close(struct post *post);

/*
 * Begin one; json must live until it has ended. Never blocks. Returns -EINPROGRESS, or what
 * post_go_on() returns.
 */
int post_begin(struct post *post, const char *url, const char *json);

/*
 * Call it each POST_STEP_MS until it returns something else than -EINPROGRESS: 0 if the server
 * answered 2xx; -EFBIG, -EIO as fetch_get(). What it answered beyond that is not kept.
 */
int post_go_on(struct post *post);

#endif
