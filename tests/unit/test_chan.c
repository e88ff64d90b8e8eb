/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/proto.h"

/* More than a receiver has room for; SCM_MAX_FD of the kernel is 253. */
#define FDS_SENT_MAX 64u

static int ends[2];
static uint8_t frame[PROTO_FRAME_MAX];
static int fds[PROTO_FDS_MAX];
static uint32_t fd_count;

static int open_ends(void **state)
{
	(void)state;
	return chan_pair(ends);
}

static int close_ends(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static uint32_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* As chan_send() would not: any number of fds. */
static void send_raw(size_t len, uint32_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_SENT_MAX)] = {0};
	struct iovec iov = {.iov_base = frame, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	int sent[FDS_SENT_MAX];

	assert_in_range(count, 0, FDS_SENT_MAX);
	for (uint32_t i = 0; i < count; i++)
		sent[i] = STDERR_FILENO;
	if (count) {
		struct cmsghdr *cmsg;

		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(cmsg), sent, sizeof(int) * count);
	}
	assert_true(sendmsg(ends[0], &hdr, MSG_NOSIGNAL) >= 0);
}

static int receive(size_t cap)
{
	return chan_recv(ends[1], frame, cap, fds, &fd_count);
}

static void test_chan_passes_frames_and_fds(void **state)
{
	const uint8_t bytes[] = {1, 2, 3};
	int sent[PROTO_FDS_MAX];

	(void)state;
	for (uint32_t i = 0; i < PROTO_FDS_MAX; i++)
		sent[i] = STDERR_FILENO;
	for (uint32_t n = 0; n <= PROTO_FDS_MAX; n++) {
		uint32_t before = open_fds();

		assert_int_equal(chan_send(ends[0], bytes, sizeof(bytes), sent, n, 0), 0);
		assert_int_equal(receive(sizeof(frame)), sizeof(bytes));
		assert_memory_equal(frame, bytes, sizeof(bytes));
		assert_int_equal(fd_count, n);
		assert_int_equal(open_fds(), before + n);
		for (uint32_t i = 0; i < n; i++) {
			assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
			close(fds[i]);
		}
	}
	assert_int_equal(chan_send(ends[0], bytes, 3, sent, PROTO_FDS_MAX + 1, 0), -EINVAL);
}

static void test_chan_keeps_frames_apart(void **state)
{
	(void)state;
	send_raw(3, 0);
	send_raw(5, 0);
	assert_int_equal(receive(sizeof(frame)), 3);
	assert_int_equal(receive(sizeof(frame)), 5);
	assert_int_equal(receive(sizeof(frame)), -EAGAIN);
}

static void test_chan_carries_the_largest_frame(void **state)
{
	(void)state;
	assert_int_equal(chan_send(ends[0], frame, PROTO_FRAME_MAX, NULL, 0, 0), 0);
	assert_int_equal(receive(sizeof(frame)), PROTO_FRAME_MAX);
}

static void test_chan_refuses_a_frame_that_does_not_fit(void **state)
{
	uint32_t before = open_fds();

	(void)state;
	send_raw(101, 3);
	assert_int_equal(receive(100), -EPROTO);
	assert_int_equal(fd_count, 0);
	assert_int_equal(open_fds(), before);
}

/* One too many; two too many is what the padding of a control message has room for. */
static void test_chan_closes_too_many_fds(void **state)
{
	static const uint32_t counts[] = {PROTO_FDS_MAX + 1, PROTO_FDS_MAX + 2, PROTO_FDS_MAX + 3,
					  FDS_SENT_MAX};
	uint32_t before = open_fds();

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		send_raw(1, counts[i]);
		assert_int_equal(receive(sizeof(frame)), -EPROTO);
		assert_int_equal(fd_count, 0);
		assert_int_equal(open_fds(), before);
	}
}

static void test_chan_tells_the_end(void **state)
{
	(void)state;
	send_raw(2, 0);
	close(ends[0]);
	assert_int_equal(receive(sizeof(frame)), 2);
	assert_int_equal(receive(sizeof(frame)), 0);
	assert_int_equal(chan_send(ends[1], frame, 1, NULL, 0, 0), -EPIPE);
	ends[0] = dup(ends[1]);
}

/* An empty frame is none of ours: as good as the end, and its fds are closed. */
/* Hung up on with a frame of ours unread, which the kernel tells as an error. */
static void test_chan_tells_last_words_before_the_end(void **state)
{
	(void)state;
	assert_int_equal(chan_send(ends[0], (const uint8_t *)"asked", 5, NULL, 0, 0), 0);
	assert_int_equal(chan_send(ends[1], (const uint8_t *)"words", 5, NULL, 0, 0), 0);
	close(ends[1]);
	assert_int_equal(chan_recv(ends[0], frame, sizeof(frame), fds, &fd_count), 5);
	assert_memory_equal(frame, "words", 5);
	assert_int_equal(chan_recv(ends[0], frame, sizeof(frame), fds, &fd_count), 0);
	ends[1] = -1;
}

static void test_chan_takes_an_empty_frame_as_the_end(void **state)
{
	uint32_t before = open_fds();

	(void)state;
	send_raw(0, 2);
	assert_int_equal(receive(sizeof(frame)), 0);
	assert_int_equal(fd_count, 0);
	assert_int_equal(open_fds(), before);
}

static void test_chan_does_not_wait_for_a_reader_that_sleeps(void **state)
{
	int err = 0;

	(void)state;
	for (int i = 0; i < 100 && !err; i++)
		err = chan_send(ends[0], frame, PROTO_FRAME_MAX, NULL, 0, 0);
	assert_int_equal(err, -EAGAIN);
	assert_int_equal(chan_send(ends[0], frame, PROTO_FRAME_MAX, NULL, 0, 1), -EAGAIN);
	assert_int_equal(receive(sizeof(frame)), PROTO_FRAME_MAX);
	assert_int_equal(chan_send(ends[0], frame, PROTO_FRAME_MAX, NULL, 0, 1), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ends, close_ends)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chan_passes_frames_and_fds),
		TEST(test_chan_keeps_frames_apart),
		TEST(test_chan_carries_the_largest_frame),
		TEST(test_chan_refuses_a_frame_that_does_not_fit),
		TEST(test_chan_closes_too_many_fds),
		TEST(test_chan_tells_the_end),
		TEST(test_chan_tells_last_words_before_the_end),
		TEST(test_chan_takes_an_empty_frame_as_the_end),
		TEST(test_chan_does_not_wait_for_a_reader_that_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
