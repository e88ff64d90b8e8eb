/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source_rc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/bundle.h"
#include "poller/handed.h"
#include "poller/network.h"
#include "rc/rc.h"
#include "rc/shelf.h"
#include "tuf/fetch.h"
#include "tuf/stock.h"

#define TIMEOUT_S 10u /* of one request, to a process of this host */

#define UNIX_SCHEME "unix://"

struct agent {
	char base[CONFIG_PATH_MAX]; /* http://... */
	struct fetch *fetch;
	struct fetch_options options;
	struct rc *rc;
	struct bundle bundle;
	struct msg_verdict told; /* of what was sent last */
};

/* --- a look --------------------------------------------------------------------------------------
 */

static int bundle_up(struct agent *agent, struct source_look *look)
{
	int err;

	bundle_free(&agent->bundle);
	agent->bundle.max_bytes = MSG_BUNDLE_MAX;
	err = shelf_bundle(agent->rc, &agent->bundle);
	if (err)
		return err;
	source_look_bundle(look, &agent->bundle);
	return 0;
}

static int ask(struct agent *agent, struct rc_answer *answer)
{
	char *request = rc_request(agent->rc), *bytes = NULL;
	int err;

	if (!request)
		return -ENOMEM;
	err = fetch_post(agent->fetch, agent->base, RC_URL_PATH + 1, request, RC_ANSWER_MAX, &bytes,
			 &answer->len);
	free(request);
	answer->bytes = bytes;
	answer->status = (unsigned int)agent->options.status;
	answer->now_s = time(NULL);
	return err;
}

static int take(struct agent *agent, const struct rc_answer *answer, struct source_look *look)
{
	struct tuf_why why = {.result = TUF_OK};

	switch (rc_feed(agent->rc, answer, &why)) {
	case RC_NOTHING:
	case RC_ACCEPTED:
		return 0;
	case RC_UNIMPLEMENTED:
		snprintf(look->why, sizeof(look->why), "%.250s", why.text);
		return SOURCE_UNIMPLEMENTED;
	case RC_REFUSED:
	case RC_UNREACHABLE:
		break;
	}
	snprintf(look->why, sizeof(look->why), "%.20s: %.230s", tuf_result_name(why.result),
		 why.text);
	look->wait_ms = source_wait_ms(agent->options.retry_after_s);
	return SOURCE_FAILED;
}

/* What is in force here goes up at each look: whether it is news is seen there. */
static int look_at_agent(void *self, struct source_look *look)
{
	struct agent *agent = self;
	struct rc_answer answer = {.status = 0};
	struct rc_versions versions;
	int err;

	fetch_start(agent->fetch);
	err = ask(agent, &answer);
	if (err == -EIO || err == -EFBIG) {
		snprintf(look->why, sizeof(look->why), "%.250s", agent->options.why);
		err = SOURCE_FAILED;
	} else if (!err) {
		err = take(agent, &answer, look);
	}
	free((void *)answer.bytes);
	rc_versions(agent->rc, &versions);
	if (!err && versions.targets)
		err = bundle_up(agent, look);
	return fetch_renew(agent->fetch) < 0 ? -ENOMEM : err;
}

_Static_assert((int)APPLY_UNKNOWN == (int)RC_UNKNOWN && (int)APPLY_ERROR == (int)RC_ERROR,
	       "source_rc: states");

static void on_verdict(void *self, const struct msg_verdict *verdict)
{
	const struct agent *agent = self;

	rc_note(agent->rc, RC_PRODUCT, (enum rc_state)verdict->state,
		verdict->state == APPLY_ERROR ? verdict->reason : "");
}

/* --- the beginning -------------------------------------------------------------------------------
 */

static int refuse(char *why, size_t cap, int err, const char *what)
{
	snprintf(why, cap, "source: %.200s", what);
	return err;
}

static int open_fetch(struct agent *agent, const struct source_setup *setup)
{
	const char *place = setup->config->source.rc;
	bool is_socket = strncmp(place, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0;

	/* A socket has no host; what is said of one only stands in the request. */
	snprintf(agent->base, sizeof(agent->base), "%s", is_socket ? "http://localhost" : place);
	agent->options = (struct fetch_options){
		.agent = "conntrace-poller/" VERSION,
		.timeout_s = TIMEOUT_S,
		.loopback_http = true,
		.unix_socket = is_socket ? place + strlen(UNIX_SCHEME) : NULL,
		.breathe = setup->breathe,
		.ctx = setup->ctx,
	};
	return fetch_open(&agent->fetch, &agent->options);
}

/* What was in force when the process before this one ended. */
static void take_up(struct agent *agent, struct stock *store)
{
	static struct shelf shelf;
	struct rc_versions versions;
	struct tuf_why why;

	rc_versions(agent->rc, &versions);
	/* What doesn't verify any more is asked for anew. */
	if (shelf_read_store(&shelf, store, versions.root) == 0 &&
	    rc_apply(agent->rc, &shelf.update, RC_NO_CLOCK, &why) == TUF_OK)
		rc_note(agent->rc, RC_PRODUCT, RC_ACKNOWLEDGED, "");
}

static int open_rc(struct agent *agent, struct handed *handed, char *why, size_t cap)
{
	struct rc_options options = {
		.products = {RC_PRODUCT},
		.product_count = 1,
		.capabilities = (const uint8_t *)"",
		.language = "c",
		.tracer_version = VERSION,
		.service = "conntrace",
		.env = "",
		.app_version = VERSION,
	};
	uint8_t random[RC_RANDOM_LEN];
	struct shelf_memory memory;
	struct tuf_why refusal;

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return refuse(why, cap, -EIO, "no randomness");
	rc_ids_make(random, &options.ids);
	shelf_read_memory(&handed->store, &memory);
	options.floor = memory.floor;
	agent->rc = rc_new(&options, handed->root, handed->root_len, &refusal);
	if (!agent->rc)
		return refuse(why, cap, -EINVAL, refusal.text);
	take_up(agent, &handed->store);
	return 0;
}

static int open_agent(const struct source_setup *setup, struct sandbox_needs *needs, void **self,
		      char *why, size_t cap)
{
	static struct agent agent;
	static struct handed handed;
	int err = handed_read(&handed, setup);

	*self = &agent;
	if (err)
		return refuse(why, cap, err, "what is stored of it");
	if (open_fetch(&agent, setup) < 0)
		return refuse(why, cap, -EINVAL, agent.options.why);
	needs->unix_socket = agent.options.unix_socket != NULL;
	if (!needs->unix_socket)
		err = network_need(agent.base, "", needs, why, cap);
	if (err)
		return err;
	return open_rc(&agent, &handed, why, cap);
}

const struct source source_rc = {
	.open = open_agent, .look = look_at_agent, .on_verdict = on_verdict};
