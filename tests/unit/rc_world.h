/* SPDX-License-Identifier: Apache-2.0 */
/* An agent and a client of it, for each test anew. Signers: key 0 of root, key 1 of targets. */
#ifndef TESTS_UNIT_RC_WORLD_H
#define TESTS_UNIT_RC_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "rc/rc.h"
#include "tests/tuf/agent.h"

#define ROOT_KEY     1u
#define TARGETS_KEY  2u
#define SPARE_KEY    4u
#define ANOTHER_KEY  8u
#define BASE         "datadog/2/CONNTRACE/base/config"
#define WEB          "employee/CONNTRACE/web/text"
#define OTHER        "datadog/2/OTHER/other/0"
#define BACKEND_TEXT "Zm9vYmFy" /* what the agent wants to be told */

struct world {
	struct agent agent;
	struct rc *rc;
	struct tuf_why why;
	int64_t now_s;
};

static inline struct rc_options world_options(void)
{
	static const uint8_t random[RC_RANDOM_LEN] = {1, 2, 3};
	struct rc_options options = {
		.products = {"CONNTRACE", "OTHER"},
		.product_count = 2,
		.capabilities = (const uint8_t *)"\x01",
		.capabilities_len = 1,
		.language = "c",
		.tracer_version = "1.2.3",
		.service = "conntrace",
		.env = "",
		.app_version = "4",
	};

	rc_ids_make(random, &options.ids);
	return options;
}

/* A client that trusts a root, whose body is taken over. */
static inline struct rc *world_client(struct world *world, const struct rc_options *options,
				      json_t *root, unsigned int keys)
{
	char *text = agent_sign(&world->agent, root, keys);
	struct rc *rc = rc_new(options, text, strlen(text), &world->why);

	free(text);
	return rc;
}

static inline int world_set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rc_options options = world_options();

	assert_non_null(world);
	agent_init(&world->agent);
	world->now_s = AGENT_NOW_S;
	world->rc = world_client(world, &options,
				 agent_root(&world->agent, 1, ROOT_KEY, TARGETS_KEY, 1), ROOT_KEY);
	assert_non_null(world->rc);
	*state = world;
	return 0;
}

static inline int world_tear_down(void **state)
{
	struct world *world = *state;

	rc_free(world->rc);
	agent_fini(&world->agent);
	free(world);
	return 0;
}

static inline enum rc_outcome world_feed(struct world *world, unsigned int status, const char *text)
{
	const struct rc_answer answer = {
		.status = status, .bytes = text, .len = strlen(text), .now_s = world->now_s};

	memset(&world->why, 0, sizeof(world->why));
	return rc_feed(world->rc, &answer, &world->why);
}

/* Answer what the agent has, targets signed by keys. */
static inline enum rc_outcome world_answer(struct world *world, unsigned int keys)
{
	char *text = agent_answer(&world->agent, keys);
	enum rc_outcome outcome = world_feed(world, 200, text);

	free(text);
	return outcome;
}

static inline json_t *world_request(const struct world *world)
{
	char *text = rc_request(world->rc);
	json_t *request = json_loads(text ? text : "", JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(request);
	free(text);
	return request;
}

/* client.state of a request; lent. */
static inline json_t *world_state(const json_t *request)
{
	return json_object_get(json_object_get(request, "client"), "state");
}

/*
 * The answer is refused with result and text, and nothing else than this is different in the next
 * request.
 */
static inline void world_refuses(struct world *world, unsigned int keys, enum tuf_result result,
				 const char *text)
{
	json_t *before = world_request(world), *after;

	assert_int_equal(world_answer(world, keys), RC_REFUSED);
	assert_int_equal(world->why.result, result);
	if (!strstr(world->why.text, text))
		fail_msg("'%s' is not in: %s", text, world->why.text);
	after = world_request(world);
	assert_true(json_is_true(json_object_get(world_state(after), "has_error")));
	assert_string_equal(json_string_value(json_object_get(world_state(after), "error")),
			    world->why.text);
	json_object_update_existing_new(world_state(before), json_pack("{s:b, s:s}", "has_error", 1,
								       "error", world->why.text));
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static inline void world_accepts(struct world *world, unsigned int keys)
{
	if (world_answer(world, keys) != RC_ACCEPTED)
		fail_msg("refused: %s", world->why.text);
}

#endif
