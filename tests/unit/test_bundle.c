/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"

static struct bundle bundle;

static int begin(void **state)
{
	(void)state;
	bundle = (struct bundle){.max_bytes = 4096};
	return 0;
}

static int end(void **state)
{
	(void)state;
	bundle_free(&bundle);
	return 0;
}

/* Walks to the end of the first len bytes; what bundle_next() said last. */
static int walk(size_t len, uint32_t *count)
{
	/* Of exactly its size, so that one byte too far is seen. */
	char *bytes = malloc(len ? len : 1);
	struct bundle_entry entry;
	size_t at = 0;
	int more;

	assert_non_null(bytes);
	if (len)
		memcpy(bytes, bundle.bytes, len);
	for (*count = 0; (more = bundle_next(bytes, len, &at, &entry)) > 0; ++*count) {
		assert_in_range(strlen(entry.name), 1, BUNDLE_NAME_MAX - 1);
		assert_true(entry.bytes + entry.len_bytes <= bytes + len);
	}
	free(bytes);
	return more;
}

static void test_bundle_gives_back_what_was_added(void **state)
{
	struct bundle_entry entry;
	size_t at = 0;

	(void)state;
	assert_int_equal(bundle_add(&bundle, "m/1.root.json", "abc", 3), 0);
	assert_int_equal(bundle_add(&bundle, "t/empty", "", 0), 0);
	assert_int_equal(bundle_next(bundle.bytes, bundle.len_bytes, &at, &entry), 1);
	assert_string_equal(entry.name, "m/1.root.json");
	assert_int_equal(entry.len_bytes, 3);
	assert_memory_equal(entry.bytes, "abc", 3);
	assert_int_equal(bundle_next(bundle.bytes, bundle.len_bytes, &at, &entry), 1);
	assert_string_equal(entry.name, "t/empty");
	assert_int_equal(entry.len_bytes, 0);
	assert_int_equal(bundle_next(bundle.bytes, bundle.len_bytes, &at, &entry), 0);
}

static void test_bundle_of_nothing_has_no_entry(void **state)
{
	struct bundle_entry entry;
	size_t at = 0;

	(void)state;
	assert_int_equal(bundle_next(NULL, 0, &at, &entry), 0);
}

static void test_bundle_keeps_its_limits(void **state)
{
	static char large[4096];
	static char name[BUNDLE_NAME_MAX + 1];

	(void)state;
	memset(name, 'n', BUNDLE_NAME_MAX);
	assert_int_equal(bundle_add(&bundle, name, "", 0), -ENAMETOOLONG);
	assert_int_equal(bundle_add(&bundle, "", "", 0), -ENAMETOOLONG);
	name[BUNDLE_NAME_MAX - 1] = '\0';
	assert_int_equal(bundle_add(&bundle, name, "", 0), 0);
	assert_int_equal(bundle_add(&bundle, "n", large, sizeof(large)), -EFBIG);
	assert_int_equal(bundle_add(&bundle, "n", large, SIZE_MAX), -EFBIG);
	/* What was refused has left nothing behind. */
	assert_int_equal(bundle_add(&bundle, "n", large, 4096 - bundle.len_bytes - 10), 0);
	assert_int_equal(bundle.len_bytes, 4096);
	assert_int_equal(bundle_add(&bundle, "n", "", 0), -EFBIG);
}

static void test_bundle_refuses_every_truncation(void **state)
{
	size_t first;
	uint32_t count;

	(void)state;
	assert_int_equal(bundle_add(&bundle, "a", "123", 3), 0);
	first = bundle.len_bytes;
	assert_int_equal(bundle_add(&bundle, "bb", "4567", 4), 0);
	for (size_t len = 1; len < bundle.len_bytes; len++) {
		assert_int_equal(walk(len, &count), len == first ? 0 : -EPROTO);
		assert_int_equal(count, len >= first ? 1 : 0);
	}
	assert_int_equal(walk(bundle.len_bytes, &count), 0);
	assert_int_equal(count, 2);
}

static void put_head(uint32_t name_size, uint32_t len_bytes)
{
	memcpy(bundle.bytes, &name_size, sizeof(name_size));
	memcpy(bundle.bytes + 4, &len_bytes, sizeof(len_bytes));
}

static void test_bundle_refuses_lengths_that_cannot_be(void **state)
{
	static const uint32_t wrong[][2] = {{0, 5},          {1, 4},          {2, 4},
					    {3, UINT32_MAX}, {UINT32_MAX, 3}, {BUNDLE_NAME_MAX, 0},
					    {4, 2}};
	uint32_t count;

	(void)state;
	assert_int_equal(bundle_add(&bundle, "ab", "123", 3), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put_head(wrong[i][0], wrong[i][1]);
		assert_int_equal(walk(bundle.len_bytes, &count), -EPROTO);
	}
	put_head(3, 3);
	assert_int_equal(walk(bundle.len_bytes, &count), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bundle_gives_back_what_was_added, begin, end),
		cmocka_unit_test_setup_teardown(test_bundle_of_nothing_has_no_entry, begin, end),
		cmocka_unit_test_setup_teardown(test_bundle_keeps_its_limits, begin, end),
		cmocka_unit_test_setup_teardown(test_bundle_refuses_every_truncation, begin, end),
		cmocka_unit_test_setup_teardown(test_bundle_refuses_lengths_that_cannot_be, begin,
						end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
