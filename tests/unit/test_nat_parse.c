/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exporter/nat_parse.h"
#include "tests/unit/ctnetlink.h"

/* What Linux 6.18 sent: a datagram from 10.66.0.1:54579 to 10.66.0.1:53, which went to
   127.0.0.1:5353. */
/* clang-format off */
static const _Alignas(4) uint8_t of_the_kernel[] = {
	0x94, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x34, 0x00, 0x01, 0x80,
	0x14, 0x00, 0x01, 0x80, 0x08, 0x00, 0x01, 0x00, 0x0a, 0x42, 0x00, 0x01,
	0x08, 0x00, 0x02, 0x00, 0x0a, 0x42, 0x00, 0x01, 0x1c, 0x00, 0x02, 0x80,
	0x05, 0x00, 0x01, 0x00, 0x11, 0x00, 0x00, 0x00, 0x06, 0x00, 0x02, 0x00,
	0xd5, 0x33, 0x00, 0x00, 0x06, 0x00, 0x03, 0x00, 0x00, 0x35, 0x00, 0x00,
	0x34, 0x00, 0x02, 0x80, 0x14, 0x00, 0x01, 0x80, 0x08, 0x00, 0x01, 0x00,
	0x7f, 0x00, 0x00, 0x01, 0x08, 0x00, 0x02, 0x00, 0x0a, 0x42, 0x00, 0x01,
	0x1c, 0x00, 0x02, 0x80, 0x05, 0x00, 0x01, 0x00, 0x11, 0x00, 0x00, 0x00,
	0x06, 0x00, 0x02, 0x00, 0x14, 0xe9, 0x00, 0x00, 0x06, 0x00, 0x03, 0x00,
	0xd5, 0x33, 0x00, 0x00, 0x08, 0x00, 0x0c, 0x00, 0x3b, 0x7c, 0x79, 0x39,
	0x08, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0xa8, 0x08, 0x00, 0x07, 0x00,
	0x00, 0x00, 0x00, 0x1e,
};
/* clang-format on */

static struct nat_message parsed(const struct ct_message *m)
{
	struct nat_message message;

	assert_int_equal(nat_parse(m->bytes, m->len, &message), m->len);
	return message;
}

static void test_nat_parse_reads_what_the_kernel_sends(void **state)
{
	static const struct nat_tuple original = {{10, 66, 0, 1}, {10, 66, 0, 1}, 54579, 53};
	static const struct nat_tuple reply = {{127, 0, 0, 1}, {10, 66, 0, 1}, 5353, 54579};
	struct nat_message message;

	(void)state;
	assert_int_equal(nat_parse(of_the_kernel, sizeof(of_the_kernel), &message),
			 sizeof(of_the_kernel));
	assert_int_equal(message.kind, NAT_NEW);
	assert_int_equal(message.conn.family, 4);
	assert_int_equal(message.conn.protocol, 17);
	assert_memory_equal(&message.conn.original, &original, sizeof(original));
	assert_memory_equal(&message.conn.reply, &reply, sizeof(reply));
	assert_memory_equal(&message.conn.id, "\x3b\x7c\x79\x39", 4);
	assert_true(nat_is_translated(&message.conn));
}

static void test_nat_parse_tells_the_kinds(void **state)
{
	static const struct {
		uint16_t type, flags;
		enum nat_kind kind;
	} rows[] = {
		{CT_NEW, NLM_F_CREATE | NLM_F_EXCL, NAT_NEW},
		{CT_NEW, NLM_F_MULTI, NAT_DUMPED},
		{CT_DESTROY, 0, NAT_DESTROY},
		{CT_NEW + 1, 0, NAT_OTHER},
		{NFNL_SUBSYS_CTNETLINK_EXP << 8, 0, NAT_OTHER},
		{NLMSG_NOOP, 0, NAT_OTHER},
		{NLMSG_OVERRUN, 0, NAT_ERROR},
	};
	const struct nat_conn conn = ct_dnat(4000, 9);
	struct nat_message message;
	struct ct_message m;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ct_make(&m, rows[i].type, rows[i].flags, &conn);
		message = parsed(&m);
		assert_int_equal(message.kind, rows[i].kind);
		if (message.kind >= NAT_NEW && message.kind <= NAT_DUMPED)
			assert_memory_equal(&message.conn, &conn, sizeof(conn));
	}
}

static void test_nat_parse_reads_ipv6(void **state)
{
	const struct nat_conn conn = {
		.id = 3,
		.family = 6,
		.protocol = 6,
		.original = {{0xfd, [15] = 1}, {0xfd, [15] = 2}, 1, 80},
		.reply = {{0xfd, [15] = 3}, {0xfd, [15] = 1}, 8080, 1},
	};
	struct nat_message message;
	struct ct_message m;

	(void)state;
	ct_make(&m, CT_DESTROY, 0, &conn);
	message = parsed(&m);
	assert_int_equal(message.kind, NAT_DESTROY);
	assert_memory_equal(&message.conn, &conn, sizeof(conn));
}

static void finish(uint16_t type, int value, enum nat_kind kind, int err)
{
	struct nat_message message;
	struct ct_message m;

	ct_begin(&m, type, NLM_F_MULTI, 4);
	memcpy(m.bytes + NLMSG_HDRLEN, &value, sizeof(value));
	ct_end(&m);
	message = parsed(&m);
	assert_int_equal(message.kind, kind);
	assert_int_equal(message.err, err);
}

static void test_nat_parse_tells_how_a_dump_ends(void **state)
{
	(void)state;
	finish(NLMSG_DONE, 0, NAT_DONE, 0);
	finish(NLMSG_DONE, -ENOMEM, NAT_ERROR, ENOMEM);
	finish(NLMSG_ERROR, -EPERM, NAT_ERROR, EPERM);
	finish(NLMSG_ERROR, 1, NAT_ERROR, 0);
	finish(NLMSG_ERROR, INT32_MIN, NAT_ERROR, 0);
}

/* What is left out or is of another length makes a message that is of no concern. */
static void test_nat_parse_wants_all_of_a_connection(void **state)
{
	static const uint16_t zone = 256;
	static const struct {
		uint8_t family, protocol;
		bool reply, id, zone;
		enum nat_kind kind;
	} rows[] = {
		{4, 6, true, true, false, NAT_NEW},   {4, 17, true, true, false, NAT_NEW},
		{4, 6, true, false, false, NAT_NEW},  {4, 6, false, true, false, NAT_OTHER},
		{4, 6, true, true, true, NAT_OTHER},  {4, 132, true, true, false, NAT_OTHER},
		{4, 1, true, true, false, NAT_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct nat_conn conn = ct_dnat(4000, 9);
		struct ct_message m;

		conn.protocol = rows[i].protocol;
		ct_begin(&m, CT_NEW, 0, rows[i].family);
		ct_put_tuple(&m, CTA_TUPLE_ORIG, &conn, &conn.original);
		if (rows[i].reply)
			ct_put_tuple(&m, CTA_TUPLE_REPLY, &conn, &conn.reply);
		if (rows[i].id)
			ct_put(&m, CTA_ID, &conn.id, sizeof(conn.id));
		if (rows[i].zone)
			ct_put(&m, CTA_ZONE, &zone, sizeof(zone));
		ct_end(&m);
		assert_int_equal(parsed(&m).kind, rows[i].kind);
	}
}

static void test_nat_parse_refuses_tuples_of_different_kinds(void **state)
{
	struct nat_conn conn = ct_dnat(4000, 9), udp = conn, six = conn;
	struct ct_message m;

	(void)state;
	udp.protocol = 17;
	six.family = 6;
	for (int i = 0; i < 2; i++) {
		ct_begin(&m, CT_NEW, 0, 4);
		ct_put_tuple(&m, CTA_TUPLE_ORIG, &conn, &conn.original);
		ct_put_tuple(&m, CTA_TUPLE_REPLY, i ? &udp : &six, &conn.reply);
		ct_end(&m);
		assert_int_equal(parsed(&m).kind, NAT_OTHER);
	}
}

/* Each length that a message can be cut off to, in memory of exactly that size. */
static void test_nat_parse_never_reads_beyond_the_end(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 9);
	struct nat_message message;
	struct ct_message m;

	(void)state;
	ct_make(&m, CT_NEW, 0, &conn);
	for (size_t len = 1; len <= m.len; len++) {
		uint8_t *bytes = malloc(len);
		int told;

		assert_non_null(bytes);
		memcpy(bytes, m.bytes, len);
		assert_int_equal(nat_parse(bytes, len, &message),
				 len < m.len ? -EBADMSG : (int)len);
		if (len >= NLMSG_HDRLEN) { /* and one that says it is that short */
			((struct nlmsghdr *)bytes)->nlmsg_len = (uint32_t)len;
			told = nat_parse(bytes, len, &message);
			assert_int_equal(told, len);
			/* The id is the last of it, and can be missing. */
			assert_int_equal(message.kind == NAT_NEW, len + 8 >= m.len);
		}
		free(bytes);
	}
	assert_int_equal(nat_parse(m.bytes, 0, &message), 0);
}

static void test_nat_is_translated_compares_every_part(void **state)
{
	struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	assert_true(nat_is_translated(&conn));
	conn.reply = (struct nat_tuple){{192, 0, 2, 1}, {10, 0, 0, 1}, 80, 4000};
	assert_false(nat_is_translated(&conn));
	conn.reply.sport++;
	assert_true(nat_is_translated(&conn));
	conn.reply.sport--;
	conn.reply.dport++;
	assert_true(nat_is_translated(&conn));
	conn.reply.dport--;
	conn.reply.dst[3]++;
	assert_true(nat_is_translated(&conn));
	conn.reply.dst[3]--;
	conn.reply.src[15]++;
	assert_true(nat_is_translated(&conn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nat_parse_reads_what_the_kernel_sends),
		cmocka_unit_test(test_nat_parse_tells_the_kinds),
		cmocka_unit_test(test_nat_parse_reads_ipv6),
		cmocka_unit_test(test_nat_parse_tells_how_a_dump_ends),
		cmocka_unit_test(test_nat_parse_wants_all_of_a_connection),
		cmocka_unit_test(test_nat_parse_refuses_tuples_of_different_kinds),
		cmocka_unit_test(test_nat_parse_never_reads_beyond_the_end),
		cmocka_unit_test(test_nat_is_translated_compares_every_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
