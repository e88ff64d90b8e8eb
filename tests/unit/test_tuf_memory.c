/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine when memory runs out, at each allocation in turn: it ends, and accepts nothing
   that it would not have accepted. */
#include "tests/tuf/scarce.h"
#include "tests/unit/tuf_server.h"

#define ALLOCATIONS_MAX 100000ul

/* A run in which the n-th allocation fails. Returns whether there was one. */
static bool run(unsigned long n, enum tuf_want_kind *end, enum tuf_result *result)
{
	const struct tuf_options options = {.now_s = FORGE_NOW_S};
	struct tuf *tuf = tuf_new(&options);
	bool failed;

	assert_non_null(tuf);
	scarce_after(n);
	*end = drive(tuf);
	if (*end == TUF_READY && tuf_find(tuf, "base.yaml") == 0)
		*end = drive(tuf);
	failed = scarce_end();
	*result = tuf_why(tuf)->result;
	tuf_free(tuf);
	return failed;
}

static void test_tuf_without_memory_keeps_what_is_verified_or_nothing(void **state)
{
	enum tuf_want_kind end;
	enum tuf_result result;
	unsigned long n = 1;

	(void)state;
	for (; run(n, &end, &result); n++) {
		assert_true(n < ALLOCATIONS_MAX);
		if (end != TUF_READY)
			assert_int_equal(result, TUF_NO_MEMORY);
		forget_but_root();
	}
	assert_true(n > 100);
	assert_int_equal(end, TUF_READY);
}

static void test_tuf_without_memory_does_not_go_back(void **state)
{
	enum tuf_want_kind end;
	enum tuf_result result;
	unsigned long n = 1;

	(void)state;
	assert_false(run(0, &end, &result));
	assert_int_equal(end, TUF_READY);
	serve(4, 4, 3, 1);
	for (; run(n, &end, &result); n++) {
		assert_true(n < ALLOCATIONS_MAX);
		assert_int_equal(end, TUF_FAILED);
	}
	assert_true(n > 100);
	assert_int_equal(result, TUF_ROLLBACK);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_SERVER(test_tuf_without_memory_keeps_what_is_verified_or_nothing),
		WITH_SERVER(test_tuf_without_memory_does_not_go_back),
	};

	return tuf_process_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
