/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "exporter/marker.h"
#include "record/table.h"

#define S 1000000000ull

/* 3 s after 1970 by the offset. */
#define OFFSET (-7 * (int64_t)S)
#define BEGAN  1700000000000000000ull

static const struct loss_marker marker = {.kind = LOSS_FULL_CLOSE,
					  .count = 123,
					  .total = 456,
					  .since_ns = 9 * S,
					  .until_ns = 10 * S + S / 2};
static char line[MARKER_LINE_MAX];

static const char *json_of(const struct loss_marker *m)
{
	int len = marker_json(m, OFFSET, BEGAN, line);

	assert_in_range(len, 1, MARKER_LINE_MAX - 1);
	line[len] = '\0';
	return line;
}

static const char *table_of(const struct loss_marker *m)
{
	int len = marker_table(m, OFFSET, BEGAN, line);

	assert_int_equal(len, strlen(line));
	assert_in_range(len, 1, TABLE_WIDTH + 1);
	assert_int_equal(line[len - 1], '\n');
	return line;
}

static void test_marker_json_has_its_fields_in_order(void **state)
{
	(void)state;
	assert_string_equal(json_of(&marker),
			    "{\"event\":\"loss\",\"cause\":\"ring_full\",\"records\":\"close\","
			    "\"count\":123,\"total\":456,\"since_ns\":2000000000,"
			    "\"until_ns\":3500000000,\"total_since_ns\":1700000000000000000}\n");
}

static void test_marker_json_what_is_not_known_is_null_or_zero(void **state)
{
	struct loss_marker unknown = marker;

	(void)state;
	unknown.kind = LOSS_MALFORMED;
	unknown.since_ns = 0;
	assert_non_null(strstr(json_of(&unknown), "\"cause\":\"malformed\",\"records\":null,"));
	assert_non_null(strstr(line, "\"since_ns\":0,\"until_ns\":3500000000,"));
}

static void test_marker_table_is_a_line_for_people(void **state)
{
	struct loss_marker unknown = marker;

	(void)state;
	assert_string_equal(
		table_of(&marker),
		"00:00:03 loss   close records missing: 123 (ring full, within 1.5s)\n");
	unknown.kind = LOSS_MALFORMED;
	unknown.since_ns = 0;
	assert_string_equal(table_of(&unknown),
			    "00:00:03 loss   records missing: 123 (malformed)\n");
}

static void test_marker_of_each_kind_fits_at_its_widest(void **state)
{
	(void)state;
	for (enum loss_kind kind = 0; kind < LOSS_KINDS; kind++) {
		struct loss_marker widest = {.kind = kind,
					     .count = UINT64_MAX,
					     .total = UINT64_MAX,
					     .since_ns = UINT64_MAX - 1,
					     .until_ns = UINT64_MAX};

		assert_string_equal(strrchr(json_of(&widest), '}'), "}\n");
		assert_non_null(strstr(table_of(&widest), "missing: 18446744073709551615 ("));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marker_json_has_its_fields_in_order),
		cmocka_unit_test(test_marker_json_what_is_not_known_is_null_or_zero),
		cmocka_unit_test(test_marker_table_is_a_line_for_people),
		cmocka_unit_test(test_marker_of_each_kind_fits_at_its_widest),
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
