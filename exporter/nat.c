/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/nat.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages read in a turn, so that records and orders have theirs. */
#define READS_PER_TURN 4096u

/* Of a dump, at a time: up to half a megabyte. */
#define DUMP_READS 16u

int nat_open(struct nat *nat, struct loop *loop, bool on, uint32_t max)
{
	memset(nat, 0, sizeof(*nat));
	nat->loop = loop;
	nat->on = on;
	nat->events_fd = -1;
	nat->dump_fd = -1;
	nat->wait_until_ms = loop_now_ms() + NAT_WAIT_MS;
	return on ? nat_cache_open(&nat->cache, max) : 0;
}

/* Returns what was read, 0 if nothing is waiting, or a negative errno. */
static int read_socket(struct nat *nat, int fd)
{
	struct sockaddr_nl from = {0};
	struct iovec part = {.iov_base = nat->buffer, .iov_len = sizeof(nat->buffer)};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &part, .msg_iovlen = 1};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	/* Cut off is lost; and only the kernel has anything to say here. */
	return msg.msg_flags & MSG_TRUNC || from.nl_pid ? -ENOBUFS : (int)n;
}

/* Returns whether this second has room for one more. */
static bool may_begin(struct nat *nat, uint64_t now_ns)
{
	uint64_t second = now_ns / 1000000000u;

	if (second != nat->second) {
		nat->second = second;
		nat->begins = 0;
	}
	return nat->begins++ < NAT_BEGINS_PER_S;
}

static void on_event(struct nat *nat, const struct nat_message *message, uint64_t now_ns)
{
	bool begins = message->kind == NAT_NEW;

	if (!begins && message->kind != NAT_DESTROY)
		return;
	nat->events++;
	if (!nat_is_translated(&message->conn))
		return;
	if (!begins)
		nat_cache_end(&nat->cache, &message->conn, nat->drained_ns, now_ns,
			      nat->dump_fd >= 0);
	else if (may_begin(nat, now_ns))
		nat_cache_begin(&nat->cache, &message->conn, nat->drained_ns, now_ns);
	else
		nat->skipped++;
}

static void read_events(struct nat *nat)
{
	uint64_t began_ns = loop_now_ns();
	struct nat_message message;

	while (nat->reads) {
		int len = read_socket(nat, nat->events_fd), at = 0, taken;

		nat->reads--;
		if (!len) {
			nat->drained_ns = began_ns;
			return;
		}
		taken = len;
		while (len > 0 &&
		       (taken = nat_parse(nat->buffer + at, (size_t)(len - at), &message)) > 0) {
			on_event(nat, &message, loop_now_ns());
			at += taken;
		}
		/* The kernel had no room for some, or what it said makes no sense. */
		if (taken < 0) {
			nat->overruns++;
			nat_cache_doubt(&nat->cache, loop_now_ns());
		}
	}
}

static void on_events(void *ctx, uint32_t events)
{
	struct nat *nat = ctx;

	(void)events;
	nat_turn(nat);
	read_events(nat);
}

static void close_socket(struct nat *nat, int *fd)
{
	if (*fd < 0)
		return;
	loop_remove(nat->loop, *fd);
	close(*fd);
	*fd = -1;
}

/* Returns NAT_DUMPED if there is more, or how the dump ended. */
static enum nat_kind read_dump(struct nat *nat)
{
	struct nat_message message;

	for (uint32_t i = 0; i < DUMP_READS; i++) {
		int len = read_socket(nat, nat->dump_fd), at = 0, taken;

		if (len < 0)
			return NAT_ERROR;
		if (!len)
			break;
		while ((taken = nat_parse(nat->buffer + at, (size_t)(len - at), &message)) > 0) {
			at += taken;
			if (message.kind == NAT_DONE || message.kind == NAT_ERROR)
				return message.kind;
			nat->dumped += message.kind == NAT_DUMPED;
			if (message.kind == NAT_DUMPED && nat_is_translated(&message.conn))
				nat_cache_confirm(&nat->cache, &message.conn, nat->asked_ns,
						  loop_now_ns());
		}
	}
	return loop_now_ms() < nat->dump_until_ms ? NAT_DUMPED : NAT_ERROR;
}

static void on_dump(void *ctx, uint32_t events)
{
	struct nat *nat = ctx;
	enum nat_kind end = read_dump(nat);

	(void)events;
	if (end == NAT_DUMPED)
		return;
	if (end == NAT_DONE)
		nat_cache_settle(&nat->cache, nat->doubt_ns, loop_now_ns());
	else
		nat->dumps_cut++;
	/* Which ends what the kernel has under way for it. */
	close_socket(nat, &nat->dump_fd);
}

int nat_take(struct nat *nat, int events_fd, int dump_fd, uint32_t netns)
{
	int err;

	if (nat->events_fd >= 0) {
		nat_turn(nat);
		read_events(nat);
	}
	close_socket(nat, &nat->events_fd);
	close_socket(nat, &nat->dump_fd);
	nat->answered = true;
	nat->netns = netns;
	nat->events_fd = events_fd;
	nat->dump_fd = dump_fd;
	if (events_fd < 0)
		return 0;
	nat->asked_ns = loop_now_ns();
	nat->doubt_ns = nat->cache.unsure_ns;
	nat->dump_until_ms = loop_now_ms() + NAT_DUMP_MS;
	err = loop_add(nat->loop, events_fd, EPOLLIN, on_events, nat);
	return err ? err : loop_add(nat->loop, dump_fd, EPOLLIN, on_dump, nat);
}

void nat_turn(struct nat *nat)
{
	nat->reads = READS_PER_TURN;
}

bool nat_is_awaited(const struct nat *nat, uint64_t now_ms)
{
	return nat->on && now_ms < nat->wait_until_ms && (!nat->answered || nat->dump_fd >= 0);
}

bool nat_find(struct nat *nat, const struct event *event, struct nat_tuple *translated)
{
	if (nat->events_fd < 0 || event->netns != nat->netns)
		return false;
	/* What began before the record was made has been told before. */
	if (event->recorded_ns >= nat->drained_ns)
		read_events(nat);
	return nat_cache_find(&nat->cache, event, translated);
}
