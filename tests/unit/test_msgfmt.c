/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "common/msgfmt.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- bounds --- */

static const struct frame {
	const char *what;
	int bounded;
	size_t len;
	uint8_t bytes[16];
} frames[] = {
	{"a fixint", 1, 1, {0x05}},
	{"a negative fixint", 1, 1, {0xff}},
	{"nil", 1, 1, {0xc0}},
	{"an empty array", 1, 1, {0x90}},
	{"two numbers", 1, 3, {0x92, 1, 2}},
	{"a map of one pair", 1, 3, {0x81, 1, 2}},
	{"a uint64", 1, 9, {0xcf, 1, 2, 3, 4, 5, 6, 7, 8}},
	{"an array16 of two", 1, 5, {0xdc, 0, 2, 1, 2}},
	{"a str8", 1, 4, {0xd9, 2, 'a', 'b'}},
	{"a bin16", 1, 5, {0xc5, 0, 2, 1, 2}},
	{"five arrays in each other", 1, 6, {0x91, 0x91, 0x91, 0x91, 0x91, 0xc0}},
	{"five arrays and an empty one", 1, 6, {0x91, 0x91, 0x91, 0x91, 0x91, 0x90}},

	{"nothing", 0, 0, {0}},
	{"two values", 0, 2, {1, 2}},
	{"a tail", 0, 2, {0x90, 0xc0}},
	{"the byte that is never used", 0, 1, {0xc1}},
	{"an extension", 0, 3, {0xd4, 1, 2}},
	{"an ext32 of 4 GiB", 0, 6, {0xc9, 0xff, 0xff, 0xff, 0xff, 1}},
	{"half a uint64", 0, 5, {0xcf, 1, 2, 3, 4}},
	{"half a float", 0, 3, {0xca, 1, 2}},
	{"an array that is short", 0, 2, {0x92, 1}},
	{"an array32 of 4 Gi", 0, 10, {0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}},
	{"an array32 of one more", 0, 10, {0xdd, 0, 0, 0, 6, 1, 2, 3, 4, 5}},
	{"an array16 of 64 Ki", 0, 10, {0xdc, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7}},
	{"a map32 of 4 Gi", 0, 10, {0xdf, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}},
	{"a map32 of 2 Gi, doubled beyond 32 bits", 0, 6, {0xdf, 0x80, 0, 0, 0, 1}},
	{"a str32 of 4 GiB", 0, 10, {0xdb, 0xff, 0xff, 0xff, 0xff, 'a', 'b', 'c', 'd', 'e'}},
	{"a bin32 of 4 GiB", 0, 10, {0xc6, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}},
	{"an array32 without its count", 0, 4, {0xdd, 0, 0, 0}},
	{"a huge array within an array", 0, 8, {0x91, 0xdd, 0xff, 0xff, 0xff, 0xff, 1, 2}},
	{"six arrays in each other", 0, 7, {0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0xc0}},
	{"six maps in each other",
	 0,
	 13,
	 {0x81, 1, 0x81, 1, 0x81, 1, 0x81, 1, 0x81, 1, 0x81, 1, 1}},
};

static void test_msgfmt_bounds_what_is_declared(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++)
		if (msgfmt_bounded(frames[i].bytes, frames[i].len) != frames[i].bounded)
			fail_msg("%s", frames[i].what);
}

static void test_msgfmt_bounds_any_depth_without_recursion(void **state)
{
	static uint8_t deep[65536];

	(void)state;
	memset(deep, 0x91, sizeof(deep));
	assert_false(msgfmt_bounded(deep, sizeof(deep)));
	memset(deep, 0xdd, sizeof(deep));
	assert_false(msgfmt_bounded(deep, sizeof(deep)));
}

/* --- a format with one field of each kind --- */

struct inner {
	uint32_t number;
	char name[4];
};

struct outer {
	uint8_t small;
	uint16_t middle;
	uint64_t large;
	char text[8];
	uint32_t bytes_len;
	uint8_t bytes[4];
	struct inner one;
	uint32_t count;
	struct inner list[3];
	uint16_t array[2];
};

static const struct msgfmt_field inner_fields[] = {
	{.kind = MSGFMT_UINT,
	 .offset = offsetof(struct inner, number),
	 .width = 4,
	 .min = 1,
	 .max = 9},
	{.kind = MSGFMT_STRING, .offset = offsetof(struct inner, name), .max = 4},
};
static const struct msgfmt inner = {inner_fields, COUNT(inner_fields), sizeof(struct inner)};

static const struct msgfmt_field outer_fields[] = {
	{.kind = MSGFMT_UINT,
	 .offset = offsetof(struct outer, small),
	 .width = 1,
	 .max = UINT8_MAX},
	{.kind = MSGFMT_UINT, .offset = offsetof(struct outer, middle), .width = 2, .max = 1000},
	{.kind = MSGFMT_UINT,
	 .offset = offsetof(struct outer, large),
	 .width = 8,
	 .max = UINT64_MAX},
	{.kind = MSGFMT_STRING, .offset = offsetof(struct outer, text), .max = 8},
	{.kind = MSGFMT_BYTES,
	 .offset = offsetof(struct outer, bytes),
	 .max = 4,
	 .count_offset = offsetof(struct outer, bytes_len)},
	{.kind = MSGFMT_STRUCT, .offset = offsetof(struct outer, one), .of = &inner},
	{.kind = MSGFMT_LIST,
	 .offset = offsetof(struct outer, list),
	 .width = sizeof(struct inner),
	 .max = 3,
	 .count_offset = offsetof(struct outer, count),
	 .of = &inner},
	{.kind = MSGFMT_ARRAY, .offset = offsetof(struct outer, array), .width = 2, .max = 2},
};
static const struct msgfmt outer = {outer_fields, COUNT(outer_fields), sizeof(struct outer)};

static struct outer sound(void)
{
	struct outer o;

	memset(&o, 0, sizeof(o));
	o.small = 200;
	o.middle = 1000;
	o.large = UINT64_MAX;
	memcpy(o.text, "seven..", 8);
	o.bytes_len = 4;
	memcpy(o.bytes, "\0\1\2\3", 4);
	o.one = (struct inner){1, "abc"};
	o.count = 2;
	o.list[0] = (struct inner){2, ""};
	o.list[1] = (struct inner){9, "x"};
	o.array[1] = 65535;
	return o;
}

static void test_msgfmt_comes_through_unchanged(void **state)
{
	struct outer before = sound(), after;
	uint8_t frame[128];
	int len = msgfmt_pack(5, &outer, &before, frame, sizeof(frame));

	(void)state;
	assert_in_range(len, 1, sizeof(frame));
	memset(&after, 0xff, sizeof(after));
	assert_int_equal(msgfmt_unpack(5, &outer, frame, (size_t)len, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(msgfmt_unpack(6, &outer, frame, (size_t)len, &after), -EPROTO);
}

static void test_msgfmt_packs_into_exactly_the_room(void **state)
{
	struct outer before = sound();
	uint8_t frame[128];
	int len = msgfmt_pack(5, &outer, &before, frame, sizeof(frame));

	(void)state;
	for (int cap = 0; cap < len; cap++) {
		uint8_t small[129];

		memset(small, 0xee, sizeof(small));
		assert_int_equal(msgfmt_pack(5, &outer, &before, small, (size_t)cap), -EMSGSIZE);
		assert_int_equal(small[cap], 0xee);
	}
	assert_int_equal(msgfmt_pack(5, &outer, &before, frame, (size_t)len), len);
}

static void test_msgfmt_refuses_to_pack_beyond_bounds(void **state)
{
	uint8_t frame[256];
	struct outer o = sound();

	(void)state;
	o.middle = 1001;
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
	o = sound();
	o.text[7] = 'x';
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
	o = sound();
	o.bytes_len = 5;
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
	o = sound();
	o.count = 4;
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
	o = sound();
	o.list[1].number = 10;
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
	o = sound();
	o.one.number = 0;
	assert_int_equal(msgfmt_pack(5, &outer, &o, frame, sizeof(frame)), -EINVAL);
}

/* The frame of sound(), by hand; each row changes a byte of it. */
static const uint8_t by_hand[] = {0x99, 5,    0xcc, 200,  0xcd, 0x03, 0xe8, 0xcf, 0xff, 0xff,
				  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* */
				  0xa7, 's',  'e',  'v',  'e',  'n',  '.',  '.',  0xc4, 4,
				  0,    1,    2,    3,    0x92, 1,    0xa3, 'a',  'b',  'c', /* */
				  0x92, 0x92, 2,    0xa0, 0x92, 9,    0xa1, 'x',  0x92, 0,
				  0xcd, 0xff, 0xff};

static void test_msgfmt_reads_each_byte(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		const char *what;
	} rows[] = {
		{0, 0x89, "a map"},
		{1, 6, "another type"},
		{2, 0xd0, "a negative number"},
		{5, 0x04, "a number out of range"},
		{19, 0, "a NUL within a text"},
		{25, 3, "one byte too few declared"},
		{24, 0xd9, "a text instead of bytes"},
		{16, 0xc4, "bytes of another length instead of a text"},
		{30, 0x82, "a map instead of a struct"},
		{31, 0, "a nested number out of range"},
		{41, 10, "a number in a list out of range"},
		{36, 0x93, "a list that takes what is not its own"},
		{44, 0x91, "an array of another length"},
	};
	struct outer want = sound(), got;
	uint8_t frame[sizeof(by_hand)];

	(void)state;
	assert_int_equal(msgfmt_unpack(5, &outer, by_hand, sizeof(by_hand), &got), 0);
	assert_memory_equal(&want, &got, sizeof(want));
	for (size_t i = 0; i < COUNT(rows); i++) {
		memcpy(frame, by_hand, sizeof(frame));
		frame[rows[i].at] = rows[i].byte;
		if (msgfmt_unpack(5, &outer, frame, sizeof(frame), &got) != -EPROTO)
			fail_msg("%s", rows[i].what);
	}
}

/* Any byte at any place: no crash, and what is taken can be packed. */
static void test_msgfmt_survives_every_single_change(void **state)
{
	uint8_t frame[sizeof(by_hand)], again[128];
	struct outer got;

	(void)state;
	for (size_t at = 0; at < sizeof(by_hand); at++) {
		for (int byte = 0; byte < 256; byte++) {
			memcpy(frame, by_hand, sizeof(frame));
			frame[at] = (uint8_t)byte;
			if (msgfmt_unpack(5, &outer, frame, sizeof(frame), &got) == 0)
				assert_true(msgfmt_pack(5, &outer, &got, again, sizeof(again)) > 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msgfmt_bounds_what_is_declared),
		cmocka_unit_test(test_msgfmt_bounds_any_depth_without_recursion),
		cmocka_unit_test(test_msgfmt_comes_through_unchanged),
		cmocka_unit_test(test_msgfmt_packs_into_exactly_the_room),
		cmocka_unit_test(test_msgfmt_refuses_to_pack_beyond_bounds),
		cmocka_unit_test(test_msgfmt_reads_each_byte),
		cmocka_unit_test(test_msgfmt_survives_every_single_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
