/* SPDX-License-Identifier: Apache-2.0 */
#include "common/chan.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/proto.h"

/*
 * Room for one fd more than a message may carry, so that one too many is seen as such. CMSG_SPACE
 * pads, and the kernel fills the padding with one fd more: what it may use is CMSG_LEN.
 */
#define FDS_ROOM      (PROTO_FDS_MAX + 1)
#define CONTROL_BYTES CMSG_SPACE(sizeof(int) * FDS_ROOM)
#define CONTROL_LEN   CMSG_LEN(sizeof(int) * FDS_ROOM)

int chan_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	return 0;
}

static void attach_fds(struct msghdr *hdr, const int *fds, uint32_t fd_count)
{
	struct cmsghdr *cmsg;

	hdr->msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	cmsg = CMSG_FIRSTHDR(hdr);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
}

int chan_send(int fd, const uint8_t *frame, size_t len, const int *fds, uint32_t fd_count,
	      int wait_ms)
{
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	if (fd_count > PROTO_FDS_MAX)
		return -EINVAL;
	if (fd_count) {
		hdr.msg_control = control;
		attach_fds(&hdr, fds, fd_count);
	}
	for (;;) {
		if (sendmsg(fd, &hdr, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || wait_ms <= 0)
			return -errno;
		if (poll(&room, 1, wait_ms) <= 0)
			return -EAGAIN;
		wait_ms = 0;
	}
}

static void close_all(const int *fds, uint32_t fd_count)
{
	for (uint32_t i = 0; i < fd_count; i++)
		close(fds[i]);
}

/* Takes the fds out of a received header; no more than FDS_ROOM fit into CONTROL_LEN. */
static uint32_t take_fds(struct msghdr *hdr, int *fds)
{
	uint32_t taken = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		size_t count;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + taken, CMSG_DATA(cmsg), count * sizeof(int));
		taken += (uint32_t)count;
	}
	return taken;
}

int chan_recv(int fd, uint8_t *frame, size_t cap, int *fds, uint32_t *fd_count)
{
	_Alignas(struct cmsghdr) char control[CONTROL_BYTES];
	struct iovec iov = {.iov_base = frame, .iov_len = cap};
	struct msghdr hdr = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = CONTROL_LEN};
	int received[FDS_ROOM];
	uint32_t count;
	ssize_t len;

	*fd_count = 0;
	/* ECONNRESET, once: it hung up with something of ours unread. Its last words are there. */
	do {
		len = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	if (len < 0)
		return -errno;
	count = take_fds(&hdr, received);
	if (hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || count > PROTO_FDS_MAX) {
		close_all(received, count);
		return -EPROTO;
	}
	if (len == 0) {
		close_all(received, count);
		return 0;
	}
	memcpy(fds, received, count * sizeof(int));
	*fd_count = count;
	return (int)len;
}
