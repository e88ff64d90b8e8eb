/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tuf/json.h"

static void refuse_bytes(const char *bytes, size_t len, const char *what)
{
	struct tuf_why why = {.result = TUF_OK};
	json_t *value;

	assert_int_equal(tuf_json_parse(bytes, len, &value, &why), TUF_MALFORMED);
	assert_null(value);
	if (!strstr(why.text, what))
		fail_msg("%s: %s", bytes, why.text);
}

static void refuse(const char *text, const char *what)
{
	refuse_bytes(text, strlen(text), what);
}

static void becomes(const char *text, const char *wanted)
{
	struct tuf_why why;
	json_t *value;
	char *bytes;
	size_t len;

	if (tuf_json_parse(text, strlen(text), &value, &why) != TUF_OK)
		fail_msg("%s: %s", text, why.text);
	assert_int_equal(tuf_json_canonical(value, &bytes, &len), 0);
	assert_int_equal(len, strlen(wanted));
	assert_memory_equal(bytes, wanted, len);
	json_decref(value);
	free(bytes);
}

static void test_json_refuses_what_has_two_readings(void **state)
{
	(void)state;
	refuse("{\"a\": 1, \"a\": 1}", "duplicate");
	refuse("{\"b\": {\"a\": 1, \"\\u0061\": 2}}", "duplicate");
	refuse("{\"a\": 1} x", "end of file");
	refuse("{\"a\": 1,}", "line 1");
	refuse("{'a': 1}", "line 1");
	refuse("// comment\n{}", "line 1");
	refuse("[1]", "not an object");
	refuse("\"text\"", "line 1");
	refuse("", "line 1");
	refuse("\xef\xbb\xbf{}", "line 1");
	refuse_bytes("{\"a\": 1}\0{}", 10, "line 1");
}

static void test_json_refuses_numbers_that_are_no_integers(void **state)
{
	(void)state;
	refuse("{\"a\": 1.0}", "no integer");
	refuse("{\"a\": [{\"b\": 1e2}]}", "no integer");
	refuse("{\"a\": 9223372036854775808}", "integer");
	refuse("{\"a\": -9223372036854775809}", "integer");
	refuse("{\"a\": 01}", "line 1");
	refuse("{\"a\": NaN}", "line 1");
	becomes("{\"a\": -9223372036854775808}", "{\"a\":-9223372036854775808}");
}

static void test_json_refuses_texts_that_are_none(void **state)
{
	(void)state;
	refuse("{\"a\": \"\\u0000\"}", "NUL");
	refuse("{\"a\\u0000b\": 1}", "NUL");
	refuse("{\"a\": \"\\ud800\"}", "line 1");
	refuse("{\"a\": \"\\udc00\\ud800\"}", "line 1");
	refuse("{\"a\": \"\xed\xa0\x80\"}", "unable to decode");
	refuse("{\"a\": \"\xc0\xaf\"}", "unable to decode");
	refuse("{\"a\": \"\xff\"}", "unable to decode");
	refuse("{\"a\": \"bell\x07\"}", "control character");
}

static void nested(char *text, size_t depth)
{
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
}

static void test_json_bounds_depth(void **state)
{
	char inner[64], text[80];

	(void)state;
	nested(inner, TUF_JSON_DEPTH_MAX - 1);
	snprintf(text, sizeof(text), "{\"a\": %s}", inner);
	snprintf(inner, sizeof(inner), "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}");
	becomes(text, inner);
	nested(inner, TUF_JSON_DEPTH_MAX);
	snprintf(text, sizeof(text), "{\"a\": %s}", inner);
	refuse(text, "deeper than 16");
	/* Brackets in a text are none, whatever stands before its quotes. */
	becomes("{\"a\": \"\\\\\\\"[[[[[[[[[[[[[[[[[[[[\"}",
		"{\"a\":\"\\\\\\\"[[[[[[[[[[[[[[[[[[[[\"}");
}

static void test_json_bounds_the_number_of_values(void **state)
{
	size_t count = TUF_JSON_VALUES_MAX + 8, at;
	char *text = malloc(2 * count + 16);

	(void)state;
	assert_non_null(text);
	at = (size_t)sprintf(text, "{\"a\": [");
	for (size_t i = 0; i < count; i++)
		at += (size_t)sprintf(text + at, i ? ",1" : "1");
	sprintf(text + at, "]}");
	refuse(text, "more than 32768 values");
	free(text);
}

static void test_canonical_sorts_by_code_point(void **state)
{
	(void)state;
	becomes("{\"b\": 1, \"a\": 2, \"\": 3, \"B\": 4, \"a!\": 5}",
		"{\"\":3,\"B\":4,\"a\":2,\"a!\":5,\"b\":1}");
	/* By UTF-16 units U+10000 would come before U+FFFD. */
	becomes("{\"\\ud800\\udc00\": 1, \"\\ufffd\": 2, \"\\u00e9\": 3}",
		"{\"\xc3\xa9\":3,\"\xef\xbf\xbd\":2,\"\xf0\x90\x80\x80\":1}");
}

static void test_canonical_escapes_quote_and_backslash_alone(void **state)
{
	(void)state;
	becomes("{\"a\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\\u00e9\"}",
		"{\"a\":\"\\\"\\\\/\b\f\n\r\t\x01\x7f\xc3\xa9\"}");
	becomes("{\"a\": \"-----BEGIN\\nx\\n\"}", "{\"a\":\"-----BEGIN\nx\n\"}");
	becomes("{\"a\\nb\": null}", "{\"a\nb\":null}");
}

static void test_canonical_has_no_blanks(void **state)
{
	(void)state;
	becomes(" { \"a\" : [ 1 , true , false , null , { } , [ ] , -0 ] } ",
		"{\"a\":[1,true,false,null,{},[],0]}");
}

static void test_canonical_refuses_reals(void **state)
{
	json_t *value = json_pack("{s:[f]}", "a", 1.5);
	char *bytes;
	size_t len;

	(void)state;
	assert_true(tuf_json_canonical(value, &bytes, &len) < 0);
	assert_null(bytes);
	json_decref(value);
}

static void test_json_integer_has_a_range(void **state)
{
	json_t *value = json_pack("{s:i,s:s,s:b}", "a", 5, "b", "5", "c", 1);
	int64_t number;

	(void)state;
	assert_int_equal(tuf_json_integer(value, "a", 5, 5, &number), 0);
	assert_int_equal(number, 5);
	assert_int_equal(tuf_json_integer(value, "a", 6, 9, &number), -1);
	assert_int_equal(tuf_json_integer(value, "a", 1, 4, &number), -1);
	assert_int_equal(tuf_json_integer(value, "b", 0, 9, &number), -1);
	assert_int_equal(tuf_json_integer(value, "c", 0, 9, &number), -1);
	assert_int_equal(tuf_json_integer(value, "d", 0, 9, &number), -1);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_refuses_what_has_two_readings),
		cmocka_unit_test(test_json_refuses_numbers_that_are_no_integers),
		cmocka_unit_test(test_json_refuses_texts_that_are_none),
		cmocka_unit_test(test_json_bounds_depth),
		cmocka_unit_test(test_json_bounds_the_number_of_values),
		cmocka_unit_test(test_canonical_sorts_by_code_point),
		cmocka_unit_test(test_canonical_escapes_quote_and_backslash_alone),
		cmocka_unit_test(test_canonical_has_no_blanks),
		cmocka_unit_test(test_canonical_refuses_reals),
		cmocka_unit_test(test_json_integer_has_a_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
