/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "tuf/metadata.h"
#include "tuf/names.h"

static void role_becomes(const char *role, const char *wanted, const char *wanted_url)
{
	char name[TUF_NAME_MAX], url[TUF_URL_MAX];

	assert_int_equal(tuf_name_of_role(role, name), 0);
	assert_string_equal(name, wanted);
	assert_int_equal(tuf_url_of_role(role, 12, url), 0);
	assert_string_equal(url, wanted_url);
}

static void test_names_of_roles_stay_in_their_folder(void **state)
{
	(void)state;
	role_becomes("web-team_1.~", "web-team_1.~.json", "12.web-team_1.~.json");
	role_becomes("?", "%3F.json", "12.%3F.json");
	role_becomes("#", "%23.json", "12.%23.json");
	role_becomes("/x", "%2Fx.json", "12.%2Fx.json");
	role_becomes("../x", "..%2Fx.json", "12...%2Fx.json");
	role_becomes("%2e", "%252e.json", "12.%252e.json");
	role_becomes("\xc3\xa9 \n", "%C3%A9%20%0A.json", "12.%C3%A9%20%0A.json");
}

static void test_names_too_long_for_a_file_are_refused(void **state)
{
	char role[300], name[TUF_NAME_MAX];

	(void)state;
	memset(role, 'a', sizeof(role));
	role[TUF_NAME_MAX - sizeof(".json")] = '\0';
	assert_int_equal(tuf_name_of_role(role, name), 0);
	role[TUF_NAME_MAX - sizeof(".json")] = 'a';
	role[TUF_NAME_MAX - sizeof(".json") + 1] = '\0';
	assert_int_equal(tuf_name_of_role(role, name), -ENAMETOOLONG);
	memset(role, '/', TUF_NAME_MAX / 3);
	role[TUF_NAME_MAX / 3] = '\0';
	assert_int_equal(tuf_name_of_role(role, name), -ENAMETOOLONG);
}

static void test_names_of_targets(void **state)
{
	char url[TUF_URL_MAX], name[64];

	(void)state;
	assert_int_equal(tuf_url_of_target("group/a b.yaml", "0123", url), 0);
	assert_string_equal(url, "group/0123.a%20b.yaml");
	assert_int_equal(tuf_url_of_target("base.yaml", "0123", url), 0);
	assert_string_equal(url, "0123.base.yaml");
	assert_int_equal(tuf_url_of_target("a/b/c", NULL, url), 0);
	assert_string_equal(url, "a/b/c");
	assert_int_equal(tuf_name_of_target("a/b c", name, sizeof(name)), 0);
	assert_string_equal(name, "a%2Fb%20c");
	assert_int_equal(tuf_name_of_target("a/b c", name, 9), -ENAMETOOLONG);
}

static void test_path_has_plain_parts_only(void **state)
{
	static const char *const good[] = {"a", "a/b", "...", ".a/b.", "a b", "\xc3\xa9"};
	static const char *const bad[] = {"",    "/",    "/a",   "a/",  "a//b",   ".",    "..",
					  "a/.", "a/..", "../a", "./a", "a/../b", "a\nb", "a\x7f"};
	char longest[TUF_PATH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(tuf_path_check(good[i]), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(tuf_path_check(bad[i]), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[TUF_PATH_MAX] = '\0';
	assert_int_equal(tuf_path_check(longest), -ENAMETOOLONG);
	longest[TUF_PATH_MAX - 1] = '\0';
	assert_int_equal(tuf_path_check(longest), 0);
}

struct match {
	const char *pattern, *path;
	bool matches;
};

static void test_pattern_matches_by_part(void **state)
{
	static const struct match matches[] = {
		{"base.yaml", "base.yaml", true},
		{"base.yaml", "base.yam", false},
		{"base.yam", "base.yaml", false},
		{"*", "base.yaml", true},
		{"*", "group/a", false},
		{"*/*", "group/a", true},
		{"*/*", "a", false},
		{"*/*", "a/b/c", false},
		{"group/*", "group/web.yaml", true},
		{"group/*", "group/", true},
		{"group/*", "group/a/b", false},
		{"group*", "group/a", false},
		{"group?a", "group/a", false},
		{"group[/]a", "group/a", false},
		{"group/w*b*.yaml", "group/web-b.yaml", true},
		{"group/w*x*.yaml", "group/web-b.yaml", false},
		{"*a*/b", "xxaxx/b", true},
		{"*a/b", "xa/c", false},
		{"a/*/c", "a/b/c", true},
		{"a/*/c", "a//c", true},
		{"**", "ab", true},
		{"?", "\xc3\xa9", true},
		{"??", "\xc3\xa9", false},
		{"*??", "\xc3\xa9", false},
		{"[abc]x", "bx", true},
		{"[!abc]x", "bx", false},
		{"[!abc]x", "dx", true},
		{"[a-c]", "b", true},
		{"[a-c]", "d", false},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[a-]", "-", true},
		{"[", "[", true},
		{"[a", "[a", true},
		{"[\xc3\xa0-\xc3\xaf]", "\xc3\xa9", true},
		{"\\*", "*", false},
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
		if (tuf_pattern_matches(matches[i].pattern, matches[i].path) != matches[i].matches)
			fail_msg("%s on %s", matches[i].pattern, matches[i].path);
}

/* With backtracking into each star this would take until the end of days. */
static void test_pattern_of_many_stars_takes_no_time(void **state)
{
	char pattern[401], path[256];
	clock_t began = clock();

	(void)state;
	for (size_t i = 0; i < 200; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	pattern[399] = 'b';
	pattern[400] = '\0';
	memset(path, 'a', sizeof(path));
	path[255] = '\0';
	assert_false(tuf_pattern_matches(pattern, path));
	assert_true(clock() - began < CLOCKS_PER_SEC);
}

static void test_delegation_matches_by_prefix_of_hash(void **state)
{
	/* printf base.yaml | sha256sum */
	json_t *good = json_pack("{s:[s,s]}", "path_hash_prefixes", "00", "b456b0");
	json_t *bad = json_pack("{s:[s,s]}", "path_hash_prefixes", "b457", "B456");

	(void)state;
	assert_true(tuf_delegation_matches(good, "base.yaml"));
	assert_false(tuf_delegation_matches(good, "base.yam"));
	assert_false(tuf_delegation_matches(bad, "base.yaml"));
	json_decref(good);
	json_decref(bad);
}

static void time_is(const char *text, int64_t wanted)
{
	int64_t time_s;

	assert_int_equal(tuf_time_read(text, false, &time_s), 0);
	assert_true(time_s == wanted);
}

static void test_time_is_read_exactly(void **state)
{
	static const char *const bad[] = {
		"2026-01-01T00:00:00",
		"2026-01-01T00:00:00z",
		"2026-01-01 00:00:00Z",
		"2026-01-01T00:00:00.5Z",
		"2026-01-01T00:00:00+00:00",
		"2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z",
		"2026-01-32T00:00:00Z",
		"2026-01-01T24:00:00Z",
		"2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z",
		" 2026-01-01T00:00:00Z",
		"2026-01-01T00:00:00Z ",
		"2026-1-01T00:00:00Z",
		"0000-01-01T00:00:00Z",
		"",
		"2026-01-00T00:00:00Z",
		"1900-02-29T00:00:00Z",
	};
	int64_t time_s;

	(void)state;
	time_is("1970-01-01T00:00:00Z", 0);
	time_is("2000-02-29T23:59:59Z", 951868799);
	time_is("2024-03-01T00:00:00Z", 1709251200);
	time_is("9999-12-31T23:59:59Z", 253402300799);
	time_is("1969-12-31T23:59:59Z", -1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (tuf_time_read(bad[i], false, &time_s) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void test_time_may_have_a_fraction_if_told(void **state)
{
	static const char *const good[] = {"2000-02-29T23:59:59Z", "2000-02-29T23:59:59.0Z",
					   "2000-02-29T23:59:59.999999999Z"};
	static const char *const bad[] = {
		"2000-02-29T23:59:59.Z",       "2000-02-29T23:59:59.1234567890Z",
		"2000-02-29T23:59:59.5",       "2000-02-29T23:59:59.5ZZ",
		"2000-02-29T23:59:59.5+00:00", "2000-02-30T23:59:59.5Z"};
	int64_t time_s;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(tuf_time_read(good[i], true, &time_s), 0);
		assert_true(time_s == 951868799);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (tuf_time_read(bad[i], true, &time_s) == 0)
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_roles_stay_in_their_folder),
		cmocka_unit_test(test_names_too_long_for_a_file_are_refused),
		cmocka_unit_test(test_names_of_targets),
		cmocka_unit_test(test_path_has_plain_parts_only),
		cmocka_unit_test(test_pattern_matches_by_part),
		cmocka_unit_test(test_pattern_of_many_stars_takes_no_time),
		cmocka_unit_test(test_delegation_matches_by_prefix_of_hash),
		cmocka_unit_test(test_time_is_read_exactly),
		cmocka_unit_test(test_time_may_have_a_fraction_if_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
