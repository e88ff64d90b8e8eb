/* SPDX-License-Identifier: Apache-2.0 */
/* Base64, and the names of configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rc/base64.h"
#include "rc/path.h"

/* RFC 4648, section 10, and the two last characters of the alphabet. */
static const struct {
	const char *bytes, *text;
} pairs[] = {
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xef\xff", "++//"},
};

static void test_base64_goes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		size_t wanted = strlen(pairs[i].bytes), len;
		char *text = base64_write((const uint8_t *)pairs[i].bytes, wanted), *bytes;

		assert_string_equal(text, pairs[i].text);
		assert_int_equal(base64_read(text, strlen(text), wanted, &bytes, &len), 0);
		assert_int_equal(len, wanted);
		assert_string_equal(bytes, pairs[i].bytes);
		free(text);
		free(bytes);
	}
}

static void test_base64_has_one_text_for_each(void **state)
{
	static const char *const bad[] = {"Z",      "Zg",       "Zg=",  "Zh==",     "Zm9=",
					  "=",      "====",     "Z===", "Zg==Zg==", "Zm 9",
					  "Zm9v\n", "Zm9v====", "-_-_", "Zm\x80v",  "Zg=v"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *bytes;
		size_t len;

		assert_int_equal(base64_read(bad[i], strlen(bad[i]), 64, &bytes, &len), -EINVAL);
		assert_null(bytes);
		assert_int_equal(len, 0);
	}
}

static void test_base64_is_limited(void **state)
{
	char *bytes;
	size_t len;

	(void)state;
	assert_int_equal(base64_read("Zm9vYg==", 8, 3, &bytes, &len), -EFBIG);
	assert_null(bytes);
	assert_int_equal(base64_read("Zm9vYg==", 8, 4, &bytes, &len), 0);
	free(bytes);
}

static void path_is(const char *text, const char *product, const char *id)
{
	struct rc_path path;

	assert_int_equal(rc_path_read(text, &path), 0);
	assert_string_equal(path.product, product);
	assert_string_equal(path.id, id);
}

static void test_paths_of_both_owners(void **state)
{
	(void)state;
	path_is("datadog/2/ASM_DD/rules-1/config", "ASM_DD", "rules-1");
	path_is("datadog/18446744073709551615/P/i/d41d8cd98f", "P", "i");
	path_is("employee/DEBUG/a b/0", "DEBUG", "a b");
}

static void test_other_paths_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"datadog",
		"datadog/2/P/i",
		"datadog/2/P/i/",
		"datadog/2/P/i/c/d",
		"datadog/2//i/c",
		"datadog/2/P//c",
		"datadog//P/i/c",
		"datadog/x/P/i/c",
		"datadog/-2/P/i/c",
		"datadog/2x/P/i/c",
		"datadog/111111111111111111111/P/i/c",
		"Datadog/2/P/i/c",
		"/datadog/2/P/i/c",
		"employee/P/i",
		"employee/2/P/i/c",
		"employees/P/i/c",
		"other/P/i/c",
		"datadog/2/P/../c",
		"datadog/2/P/i/.",
		"datadog/2/P/i\n/c",
		"employee/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/i/c",
	};
	struct rc_path path;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rc_path_read(bad[i], &path), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_goes_both_ways),
		cmocka_unit_test(test_base64_has_one_text_for_each),
		cmocka_unit_test(test_base64_is_limited),
		cmocka_unit_test(test_paths_of_both_owners),
		cmocka_unit_test(test_other_paths_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
