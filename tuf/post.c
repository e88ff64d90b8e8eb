/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/post.h"

#include <errno.h>
#include <stdlib.h>

#include "tuf/fetch_state.h"

#define ANSWER_MAX 4096u /* bytes; nobody reads them */

struct post {
	struct fetch *fetch;
	CURLM *multi;
	struct curl_slist *headers;
	struct fetch_body body;
	char error[CURL_ERROR_SIZE];
	uint32_t steps; /* since the name was looked up */
};

static int end(struct post *post, int err)
{
	(void)curl_multi_remove_handle(post->multi, post->fetch->curl);
	free(post->body.bytes);
	post->body = (struct fetch_body){.max = ANSWER_MAX};
	return err;
}

static int judge(struct post *post, CURLcode code)
{
	int err = fetch_judge(post->fetch, code, post->error, &post->body);

	return err && code == CURLE_OK && post->fetch->options->status / 100 == 2 ? 0 : err;
}

/*
 * A look-up can't be ended but by waiting for its thread, so it has its own time, the resolver's.
 * Steps are counted, not milliseconds: those in which the process did something else don't count.
 */
static bool is_too_late(struct post *post)
{
	curl_off_t looked_up_us = 0;

	(void)curl_easy_getinfo(post->fetch->curl, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
	return looked_up_us &&
	       ++post->steps > post->fetch->options->timeout_s * 1000 / POST_STEP_MS;
}

int post_go_on(struct post *post)
{
	int running = 0, left;
	CURLMsg *done;

	if (curl_multi_perform(post->multi, &running) != CURLM_OK)
		return end(post, fetch_say(post->fetch->options, -EIO, "out of memory"));
	if (running && is_too_late(post))
		return end(post, fetch_say(post->fetch->options, -EIO, "no answer in time"));
	if (running)
		return -EINPROGRESS;
	done = curl_multi_info_read(post->multi, &left);
	return end(post, judge(post, done ? done->data.result : CURLE_RECV_ERROR));
}

int post_begin(struct post *post, const char *url, const char *json)
{
	struct fetch *fetch = post->fetch;
	int err = fetch_check_base(fetch, url);

	fetch->options->status = 0;
	fetch->options->retry_after_s = 0;
	post->steps = 0;
	post->error[0] = '\0';
	if (!err)
		err = fetch_renew(fetch);
	if (!err)
		err = fetch_prepare(fetch, url, 0, &post->body, post->error);
	if (!err)
		err = fetch_prepare_json(fetch, json, post->headers);
	if (err)
		return err;
	/* No connection is kept for the next one: a server has many hosts. */
	if (curl_easy_setopt(fetch->curl, CURLOPT_FORBID_REUSE, 1L) != CURLE_OK ||
	    curl_multi_add_handle(post->multi, fetch->curl) != CURLM_OK)
		return fetch_say(fetch->options, -EIO, "out of memory");
	return post_go_on(post);
}

int post_open(struct post **post, struct fetch_options *options)
{
	struct post *new = calloc(1, sizeof(*new));
	int err = new ? fetch_open(&new->fetch, options) : -ENOMEM;

	*post = NULL;
	if (!err) {
		new->body.max = ANSWER_MAX;
		new->multi = curl_multi_init();
		new->headers = fetch_json_headers();
		err = new->multi &&new->headers ? 0 : -ENOMEM;
	}
	if (err == -ENOMEM)
		(void)fetch_say(options, err, "out of memory");
	if (err)
		post_close(new);
	else
		*post = new;
	return err;
}

void post_close(struct post *post)
{
	if (!post)
		return;
	if (post->fetch && post->multi)
		(void)end(post, 0);
	curl_slist_free_all(post->headers);
	(void)curl_multi_cleanup(post->multi);
	fetch_close(post->fetch);
	free(post);
}
