/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loader that balks at some configurations: test_probation.py puts it in the loader's place.
 *
 * It becomes the real one, NAME.real beside it, with a process between it and the supervisor that
 * passes on what either says. At a configuration with a filter for one of the ports below that
 * process has the loader fail.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/msg.h"
#include "common/proto.h"

#define PORT_GIVES_UP 6601u /* says that trying again cannot help */
#define PORT_CRASHES  6602u

struct frame {
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * PROTO_FDS_MAX)];
	uint8_t bytes[PROTO_FRAME_MAX];
	struct iovec iov;
	struct msghdr hdr;
};

/* Returns false when the other end has hung up. */
static bool receive(int channel, struct frame *frame)
{
	ssize_t len;

	frame->iov = (struct iovec){.iov_base = frame->bytes, .iov_len = sizeof(frame->bytes)};
	frame->hdr = (struct msghdr){.msg_iov = &frame->iov,
				     .msg_iovlen = 1,
				     .msg_control = frame->control,
				     .msg_controllen = sizeof(frame->control)};
	len = recvmsg(channel, &frame->hdr, 0);
	if (len <= 0)
		return false;
	frame->iov.iov_len = (size_t)len;
	return true;
}

static void close_fds(struct msghdr *hdr)
{
	const struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);
	int fds[PROTO_FDS_MAX];
	size_t count = cmsg ? (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

	if (cmsg)
		memcpy(fds, CMSG_DATA(cmsg), count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static bool send_on(int channel, struct frame *frame)
{
	bool sent;

	frame->hdr.msg_flags = 0;
	sent = sendmsg(channel, &frame->hdr, MSG_NOSIGNAL) >= 0;
	close_fds(&frame->hdr);
	return sent;
}

/*
 * The port of the last filter of the CONFIG before a START; 0 = it is another message, or there is
 * no filter. With START all is read: a socket that is closed with more to read takes back what it
 * sent.
 */
static uint32_t port_at_start(const struct frame *frame)
{
	static uint32_t port;
	static union msg msg;
	uint64_t type = MSG_NONE;
	uint32_t count;

	(void)msg_peek_type(frame->bytes, frame->iov.iov_len, &type);
	if (type == MSG_START)
		return port;
	if (type == MSG_CONFIG &&
	    msg_unpack(MSG_CONFIG, frame->bytes, frame->iov.iov_len, &msg) == 0) {
		count = msg.config.config.filter_count;
		port = count ? msg.config.config.filters[count - 1].match.port_low : 0;
	}
	return 0;
}

static void give_up(void)
{
	struct msg_fail fail = {
		.permanent = 1, .exit_code = EX_SOFTWARE, .reason = "it balks at this filter"};
	static uint8_t bytes[PROTO_FRAME_MAX];
	int len = msg_pack(MSG_FAIL, &fail, bytes, sizeof(bytes));

	if (len < 0 || send(PROTO_CHILD_FD, bytes, (size_t)len, MSG_NOSIGNAL) < 0)
		exit(EX_SOFTWARE);
}

static void relay(int loader_channel, pid_t loader)
{
	static struct frame frame;
	struct pollfd both[2] = {{.fd = PROTO_CHILD_FD, .events = POLLIN},
				 {.fd = loader_channel, .events = POLLIN}};
	uint32_t port;

	for (;;) {
		if (poll(both, 2, -1) < 0)
			exit(EX_OSERR);
		if (both[1].revents) {
			if (!receive(loader_channel, &frame) || !send_on(PROTO_CHILD_FD, &frame))
				return;
			continue;
		}
		if (!receive(PROTO_CHILD_FD, &frame))
			return;
		port = port_at_start(&frame);
		if (port == PORT_GIVES_UP)
			give_up();
		if (port == PORT_GIVES_UP || port == PORT_CRASHES) {
			kill(loader, SIGKILL);
			return;
		}
		if (!send_on(loader_channel, &frame))
			return;
	}
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(".real"));
	int pair[2];
	pid_t loader = getpid(), pid;

	if (argc != 1 || len < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return EX_OSERR;
	memcpy(path + len, ".real", sizeof(".real"));
	pid = fork();
	if (pid < 0)
		return EX_OSERR;
	if (pid == 0) {
		close(pair[1]);
		relay(pair[0], loader);
		return EX_OK;
	}
	if (dup2(pair[1], PROTO_CHILD_FD) < 0)
		return EX_OSERR;
	execl(path, argv[0], (char *)NULL);
	fprintf(stderr, "balking child: execute %s: %s\n", path, strerror(errno));
	return EX_UNAVAILABLE;
}
