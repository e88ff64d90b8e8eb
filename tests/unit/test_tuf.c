/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine by itself: what a run remembers, when it may be asked what. */
#include "tests/unit/tuf_server.h"

#include <errno.h>

static struct tuf *begin(const struct tuf_floor *floor, int64_t now_s)
{
	struct tuf_options options = {.now_s = now_s};
	struct tuf *tuf;

	if (floor)
		options.floor = *floor;
	tuf = tuf_new(&options);
	assert_non_null(tuf);
	return tuf;
}

/* A whole run that ends well; gives its floor. */
static struct tuf_floor succeed(const struct tuf_floor *floor)
{
	struct tuf *tuf = begin(floor, FORGE_NOW_S);
	struct tuf_floor next;

	if (drive(tuf) != TUF_READY)
		fail_msg("%s", tuf_why(tuf)->text);
	tuf_floor(tuf, &next);
	tuf_free(tuf);
	return next;
}

static void fail_with(const struct tuf_floor *floor, int64_t now_s, enum tuf_result result,
		      const char *text)
{
	struct tuf *tuf = begin(floor, now_s);

	assert_int_equal(drive(tuf), TUF_FAILED);
	if (tuf_why(tuf)->result != result || !strstr(tuf_why(tuf)->text, text))
		fail_msg("%s: %s", tuf_result_name(tuf_why(tuf)->result), tuf_why(tuf)->text);
	tuf_free(tuf);
}

static void test_tuf_floor_outlives_the_store(void **state)
{
	struct tuf_floor floor = succeed(NULL);

	(void)state;
	assert_int_equal(floor.root, 1);
	assert_int_equal(floor.timestamp, 5);
	assert_int_equal(floor.snapshot, 4);
	forget_but_root();
	serve(4, 4, 3, 1);
	fail_with(&floor, FORGE_NOW_S, TUF_ROLLBACK, "version 4, but 5 was seen before");
	serve(6, 3, 3, 1);
	fail_with(&floor, FORGE_NOW_S, TUF_ROLLBACK, "lists snapshot version 3, but 4 was seen");
	serve(5, 4, 3, 1);
	succeed(&floor);
	forget_but_root();
	serve(1, 1, 1, 1);
	succeed(NULL); /* nothing but the floor held it */
}

static void test_tuf_floor_of_the_root(void **state)
{
	struct tuf_floor floor = {.root = 2};

	(void)state;
	fail_with(&floor, FORGE_NOW_S, TUF_ROLLBACK, "version 1, but 2 was seen before");
	publish(&server, "2.root.json", forge_root(2, 1, false), 0);
	floor = succeed(&floor);
	assert_int_equal(floor.root, 2);
}

static void test_tuf_floor_ends_with_the_online_keys(void **state)
{
	struct tuf_floor floor = succeed(NULL), next;

	(void)state;
	publish(&server, "2.root.json", forge_root(2, 7, false), 0);
	serve(1, 1, 1, 7);
	next = succeed(&floor);
	assert_int_equal(next.timestamp, 1);
	assert_int_equal(next.snapshot, 1);
	assert_memory_not_equal(next.online_keys, floor.online_keys, TUF_SHA256_LEN);
	/* A store from before the rotation must not make the floor forget what came after it. */
	publish(&store, "root.json", forge_root(1, 1, false), 0);
	publish(&server, "2.root.json", forge_root(3, 7, false), 0);
	{
		struct tuf *tuf = begin(&next, FORGE_NOW_S);
		struct tuf_floor same;

		assert_int_equal(drive(tuf), TUF_FAILED);
		tuf_floor(tuf, &same);
		assert_memory_equal(&same, &next, sizeof(next));
		tuf_free(tuf);
	}
}

static void test_tuf_time_is_the_callers(void **state)
{
	const int64_t expires_s = INT64_C(4070908800); /* FORGE_FUTURE */

	(void)state;
	fail_with(NULL, expires_s, TUF_EXPIRED, "expired on " FORGE_FUTURE);
	succeed(NULL);
	fail_with(NULL, expires_s + 1, TUF_EXPIRED, "root.json: expired on " FORGE_FUTURE);
}

static void test_tuf_says_versions_and_expiry(void **state)
{
	struct tuf *tuf = begin(NULL, FORGE_NOW_S);
	struct tuf_versions versions;

	(void)state;
	tuf_versions(tuf, &versions);
	assert_int_equal(versions.root, 0);
	assert_int_equal(drive(tuf), TUF_READY);
	tuf_versions(tuf, &versions);
	assert_int_equal(versions.root, 1);
	assert_int_equal(versions.timestamp, 5);
	assert_int_equal(versions.snapshot, 4);
	assert_int_equal(versions.targets, 3);
	assert_true(versions.timestamp_expires_s == INT64_C(4070908800));
	assert_int_equal(tuf_why(tuf)->result, TUF_OK);
	tuf_free(tuf);
}

static void test_tuf_finds_when_it_is_ready(void **state)
{
	struct tuf *tuf = begin(NULL, FORGE_NOW_S);

	(void)state;
	assert_int_equal(tuf_find(tuf, "base.yaml"), -EBUSY);
	assert_int_equal(drive(tuf), TUF_READY);
	assert_int_equal(tuf_find(tuf, "../base.yaml"), -EINVAL);
	assert_int_equal(tuf_find(tuf, "group/web.yaml"), 0);
	assert_int_equal(drive(tuf), TUF_NO_TARGET);
	assert_int_equal(tuf_find(tuf, "base.yaml"), 0);
	assert_int_equal(tuf_next(tuf)->kind, TUF_FETCH_FILE);
	assert_string_equal(tuf_next(tuf)->url, "base.yaml");
	assert_int_equal(tuf_next(tuf)->max_bytes, 4);
	assert_int_equal(tuf_find(tuf, "base.yaml"), -EBUSY);
	assert_int_equal(drive(tuf), TUF_READY);
	assert_string_equal(get(&store, "base.yaml"), "text");
	tuf_free(tuf);
}

/* What another process fetched is all that this one has: no network, the same answers. */
static void test_tuf_verifies_what_another_fetched(void **state)
{
	struct tuf *tuf = begin(NULL, FORGE_NOW_S);

	(void)state;
	put(&server, "base.yaml", "TEXT");
	assert_int_equal(drive(tuf), TUF_READY);
	assert_int_equal(tuf_find(tuf, "base.yaml"), 0);
	assert_int_equal(drive(tuf), TUF_FAILED);
	assert_int_equal(tuf_why(tuf)->result, TUF_UNTRUSTED);
	assert_null(get(&store, "base.yaml"));
	/* It is over: nothing that comes changes that. */
	tuf_feed(tuf, TUF_ANSWER_OK, "text", 4);
	assert_int_equal(tuf_next(tuf)->kind, TUF_FAILED);
	assert_int_equal(tuf_find(tuf, "base.yaml"), -EBUSY);
	tuf_free(tuf);
}

static void test_tuf_ends_when_it_cant_be_stored(void **state)
{
	struct tuf *tuf = begin(NULL, FORGE_NOW_S);

	(void)state;
	while (tuf_next(tuf)->kind != TUF_KEEP) {
		const struct tuf_want *want = tuf_next(tuf);

		answer(tuf,
		       want->kind == TUF_LOAD ? get(&store, want->name) : get(&server, want->url));
	}
	assert_string_equal(tuf_next(tuf)->name, "timestamp.json");
	tuf_feed(tuf, TUF_ANSWER_ERROR, NULL, 0);
	assert_int_equal(tuf_next(tuf)->kind, TUF_FAILED);
	assert_int_equal(tuf_why(tuf)->result, TUF_UNSTORED);
	tuf_free(tuf);
}

/* More bytes than wanted are refused, whoever counted them. */
static void test_tuf_counts_bytes_itself(void **state)
{
	struct tuf *tuf = begin(NULL, FORGE_NOW_S);
	size_t len = TUF_ROOT_MAX + 1;
	char *bytes = calloc(1, len);

	(void)state;
	assert_non_null(bytes);
	answer(tuf, get(&store, "root.json"));
	assert_string_equal(tuf_next(tuf)->url, "2.root.json");
	assert_int_equal(tuf_next(tuf)->max_bytes, TUF_ROOT_MAX);
	tuf_feed(tuf, TUF_ANSWER_OK, bytes, len);
	assert_int_equal(tuf_why(tuf)->result, TUF_TOO_LARGE);
	free(bytes);
	tuf_free(tuf);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_tuf_floor_outlives_the_store),
		WITH_SERVER(test_tuf_floor_of_the_root),
		WITH_SERVER(test_tuf_floor_ends_with_the_online_keys),
		WITH_SERVER(test_tuf_time_is_the_callers),
		WITH_SERVER(test_tuf_says_versions_and_expiry),
		WITH_SERVER(test_tuf_finds_when_it_is_ready),
		WITH_SERVER(test_tuf_verifies_what_another_fetched),
		WITH_SERVER(test_tuf_ends_when_it_cant_be_stored),
		WITH_SERVER(test_tuf_counts_bytes_itself),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
