/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of records when a client reads too slowly. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/chan.h"
#include "exporter/clients.h"

#define TURNS   4000u /* more than a socket has room for */
#define IN_TURN 3u

static struct loop loop;
static struct live live;
static struct clients clients;
static uint64_t dropped;

static int set_up(void **state)
{
	(void)state;
	dropped = 0;
	if (loop_init(&loop) < 0 || live_open(&live, 16) < 0)
		return -1;
	clients_init(&clients, &loop, &live, &dropped);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_fini(&loop);
	live_close(&live);
	return 0;
}

/* Records that pass, and what is then sent of them. */
static void pass(uint64_t *cookie, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct event event = {.cookie = ++*cookie};

		clients_record(&clients, &event);
	}
	clients_flush(&clients);
}

/* What the client finds when it reads at last: records, each once and in order. */
static uint64_t read_all(int fd)
{
	static union msg msg;
	static uint8_t frame[PROTO_FRAME_MAX];
	uint64_t count = 0, last = 0;
	int fds[PROTO_FDS_MAX], len;
	uint32_t fd_count;

	while ((len = chan_recv(fd, frame, sizeof(frame), fds, &fd_count)) > 0) {
		assert_int_equal(msg_unpack(MSG_RECORDS, frame, (size_t)len, &msg), 0);
		for (uint32_t at = 0; at < msg.records.len_bytes; at += sizeof(struct event)) {
			struct event event;

			memcpy(&event, msg.records.data + at, sizeof(event));
			assert_true(event.cookie > last);
			last = event.cookie;
			count++;
		}
	}
	assert_int_equal(len, -EAGAIN);
	return count;
}

static void test_clients_what_a_tail_does_not_read_is_counted(void **state)
{
	uint64_t passed = 0, got;
	int fds[2];

	(void)state;
	assert_int_equal(chan_pair(fds), 0);
	clients_add(&clients, fds[0], ASK_TAIL, 0);
	for (uint32_t i = 0; i < TURNS; i++)
		pass(&passed, IN_TURN);
	got = read_all(fds[1]);
	assert_in_range(got, IN_TURN, passed - IN_TURN);
	assert_int_equal(got + dropped, passed);
	/* It is served on. */
	pass(&passed, IN_TURN);
	assert_int_equal(read_all(fds[1]), IN_TURN);
	assert_int_equal(got + IN_TURN + dropped, passed);
	close(fds[1]);
	pass(&passed, IN_TURN);
	assert_int_equal(clients.count, 0);
}

static void test_clients_none_are_missed_where_all_is_read(void **state)
{
	uint64_t passed = 0, got = 0;
	int fds[2];

	(void)state;
	pass(&passed, IN_TURN); /* nobody is there: nothing is missed */
	assert_int_equal(chan_pair(fds), 0);
	clients_add(&clients, fds[0], ASK_TAIL, 0);
	assert_int_equal(clients.count, 1);
	for (uint32_t i = 0; i < TURNS / 10; i++) {
		pass(&passed, IN_TURN);
		got += read_all(fds[1]);
	}
	assert_int_equal(got, passed - IN_TURN);
	assert_int_equal(dropped, 0);
	close(fds[1]);
	pass(&passed, IN_TURN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clients_what_a_tail_does_not_read_is_counted,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clients_none_are_missed_where_all_is_read,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
