/* SPDX-License-Identifier: Apache-2.0 */
/* The reading of the sockets: a pair of datagram sockets stands in for the kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "exporter/nat.h"
#include "tests/unit/ctnetlink.h"

#define NETNS 77

static struct loop loop;
static struct nat nat;
static int events, dump; /* the kernel's ends */

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void take(void)
{
	int first[2], second[2];

	pair(first);
	pair(second);
	events = first[0];
	dump = second[0];
	assert_int_equal(nat_take(&nat, first[1], second[1], NETNS), 0);
}

static int set_up(void **state)
{
	(void)state;
	if (loop_init(&loop) < 0 || nat_open(&nat, &loop, true, 16384) < 0)
		return -1;
	take();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(events);
	close(dump);
	assert_int_equal(nat_take(&nat, -1, -1, 0), 0);
	nat_cache_close(&nat.cache);
	loop_fini(&loop);
	return 0;
}

static void tell(int fd, uint16_t type, uint16_t flags, const struct nat_conn *conn)
{
	struct ct_message m;

	ct_make(&m, type, flags, conn);
	assert_int_equal(send(fd, m.bytes, m.len, MSG_DONTWAIT), m.len);
}

static void tell_end_of_dump(int fd, int error)
{
	struct ct_message m;

	ct_begin(&m, NLMSG_DONE, NLM_F_MULTI, 4);
	memcpy(m.bytes + NLMSG_HDRLEN, &error, sizeof(error));
	ct_end(&m);
	assert_int_equal(send(fd, m.bytes, m.len, MSG_DONTWAIT), m.len);
}

static void stop(void *ctx, uint32_t events_of)
{
	(void)ctx;
	(void)events_of;
	loop.stop = true;
}

/* All that is waiting is handled: of what comes later in a turn is the timer. */
static void run_loop(void)
{
	int timer = loop_timer(&loop, 20, 0, stop, NULL);

	assert_true(timer >= 0);
	loop.stop = false;
	assert_int_equal(loop_run(&loop), 0);
	loop_remove(&loop, timer);
	close(timer);
}

static bool finds(uint16_t port, uint32_t netns)
{
	struct event event = ct_record(port, EVENT_CLOSE, 0, loop_now_ns());
	struct nat_tuple translated;

	event.netns = netns;
	return nat_find(&nat, &event, &translated);
}

static void test_nat_a_record_finds_what_was_told_before_it(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	nat_turn(&nat);
	assert_false(finds(4000, NETNS));
	tell(events, CT_NEW, NLM_F_CREATE, &conn);
	/* Not by the loop: the record itself has it read. */
	assert_true(finds(4000, NETNS));
	assert_int_equal(nat.events, 1);
}

static void test_nat_of_another_namespace_nothing_is_told(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	tell(events, CT_NEW, NLM_F_CREATE, &conn);
	run_loop();
	assert_false(finds(4000, NETNS + 1));
	assert_true(finds(4000, NETNS));
}

static void test_nat_what_is_not_translated_is_not_kept(void **state)
{
	struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	conn.reply = (struct nat_tuple){{192, 0, 2, 1}, {10, 0, 0, 1}, 80, 4000};
	tell(events, CT_NEW, NLM_F_CREATE, &conn);
	tell(dump, CT_NEW, NLM_F_MULTI, &conn);
	run_loop();
	assert_int_equal(nat.cache.count, 0);
	assert_int_equal(nat.events, 1);
	assert_int_equal(nat.dumped, 1);
}

/* So many in a second and no more; the rest is counted; ends are always heard. */
static void test_nat_begins_beyond_the_limit_are_counted(void **state)
{
	const uint32_t all = NAT_BEGINS_PER_S + 123;
	uint32_t found;
	uint64_t second;

	(void)state;
	tell_end_of_dump(dump, 0);
	run_loop();
	do { /* again if the second ended meanwhile */
		second = loop_now_ns() / 1000000000u;
		nat_cache_close(&nat.cache);
		assert_int_equal(nat_cache_open(&nat.cache, 16384), 0);
		nat.second = 0;
		nat.skipped = 0;
		nat.events = 0;
		found = 0;
		for (uint32_t i = 0; i < all; i++) {
			const struct nat_conn conn = ct_dnat((uint16_t)(10000 + i), i + 1);

			tell(events, CT_NEW, NLM_F_CREATE, &conn);
			nat_turn(&nat);
			found += finds((uint16_t)(10000 + i), NETNS);
		}
	} while (loop_now_ns() / 1000000000u != second);
	assert_int_equal(nat.events, all);
	assert_int_equal(nat.skipped, 123);
	assert_int_equal(found, NAT_BEGINS_PER_S);
	assert_int_equal(nat.cache.count, NAT_BEGINS_PER_S);
	for (uint32_t i = 0; i < all; i++) {
		const struct nat_conn conn = ct_dnat((uint16_t)(10000 + i), i + 1);

		tell(events, CT_DESTROY, 0, &conn);
		nat_turn(&nat);
		assert_int_equal(finds((uint16_t)(10000 + i), NETNS), i < NAT_BEGINS_PER_S);
	}
	assert_int_equal(nat.events, 2 * all);
	assert_int_equal(nat.cache.count, NAT_BEGINS_PER_S);
}

static void test_nat_a_turn_is_bounded(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	nat_turn(&nat);
	nat.reads = 2;
	for (int i = 0; i < 3; i++)
		tell(events, CT_NEW, NLM_F_CREATE, &conn);
	assert_true(finds(4000, NETNS));
	assert_int_equal(nat.events, 2);
	assert_int_equal(nat.reads, 0);
	nat_turn(&nat);
	assert_true(finds(4000, NETNS));
	assert_int_equal(nat.events, 3);
}

static void test_nat_records_wait_for_the_dump(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	assert_true(nat_is_awaited(&nat, loop_now_ms()));
	assert_false(nat_is_awaited(&nat, loop_now_ms() + NAT_WAIT_MS));
	tell(dump, CT_NEW, NLM_F_MULTI, &conn);
	run_loop();
	assert_true(nat_is_awaited(&nat, loop_now_ms()));
	tell_end_of_dump(dump, 0);
	run_loop();
	assert_false(nat_is_awaited(&nat, loop_now_ms()));
	assert_int_equal(nat.dump_fd, -1);
	assert_int_equal(nat.dumped, 1);
	assert_int_equal(nat.dumps_cut, 0);
	assert_true(finds(4000, NETNS));
}

static void test_nat_a_dump_that_fails_or_takes_too_long_is_cut_and_counted(void **state)
{
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	tell_end_of_dump(dump, -ENOMEM);
	run_loop();
	assert_int_equal(nat.dump_fd, -1);
	assert_int_equal(nat.dumps_cut, 1);
	close(events);
	close(dump);
	take();
	nat.dump_until_ms = loop_now_ms();
	tell(dump, CT_NEW, NLM_F_MULTI, &conn);
	run_loop();
	assert_int_equal(nat.dump_fd, -1);
	assert_int_equal(nat.dumps_cut, 2);
}

/* Garbage, and what was cut off, count as events that were lost. */
static void test_nat_what_makes_no_sense_counts_as_lost(void **state)
{
	static const uint8_t garbage[NAT_READ_BYTES + 1] = {9};
	const struct nat_conn conn = ct_dnat(4000, 1);

	(void)state;
	tell(events, CT_NEW, NLM_F_CREATE, &conn);
	assert_int_equal(send(events, garbage, 64, 0), 64);
	run_loop();
	assert_int_equal(nat.overruns, 1);
	assert_true(nat.cache.unsure_ns > 0);
	assert_int_equal(send(events, garbage, sizeof(garbage), 0), sizeof(garbage));
	run_loop();
	assert_int_equal(nat.overruns, 2);
}

static void test_nat_fresh_sockets_lose_nothing(void **state)
{
	const struct nat_conn first = ct_dnat(4000, 1), second = ct_dnat(4001, 2);
	int before = events;

	(void)state;
	tell(events, CT_NEW, NLM_F_CREATE, &first);
	close(dump);
	take();
	tell(events, CT_NEW, NLM_F_CREATE, &second);
	assert_true(finds(4000, NETNS));
	nat_turn(&nat);
	assert_true(finds(4001, NETNS));
	/* The one before is closed. */
	assert_int_equal(send(before, "x", 1, MSG_NOSIGNAL), -1);
	close(before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_nat_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_finds_what_was_told_before_it),
		TEST(of_another_namespace_nothing_is_told),
		TEST(what_is_not_translated_is_not_kept),
		TEST(begins_beyond_the_limit_are_counted),
		TEST(a_turn_is_bounded),
		TEST(records_wait_for_the_dump),
		TEST(a_dump_that_fails_or_takes_too_long_is_cut_and_counted),
		TEST(what_makes_no_sense_counts_as_lost),
		TEST(fresh_sockets_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
