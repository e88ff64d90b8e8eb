/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/nat.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/procfs.h"

/* It is there as soon as nf_conntrack is, in each network namespace. */
#define TRACKED "/proc/sys/net/netfilter/nf_conntrack_count"

/* 0: it tells of nothing. */
#define EVENTS "/proc/sys/net/netfilter/nf_conntrack_events"

#define HEADERS       (NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)))
#define MESSAGE(type) (NFNL_SUBSYS_CTNETLINK << 8 | (type))

/*
 * Passes an event only if its connection is translated, so that all others wake nobody and fill no
 * buffer: the kernel sets these bits when it chooses other addresses (nf_nat_setup_info()).
 * What has no status is passed.
 */
static struct sock_filter translated_only[] = {
	BPF_STMT(BPF_LD | BPF_IMM, HEADERS),
	BPF_STMT(BPF_LDX | BPF_IMM, CTA_STATUS),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_NLATTR),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_STMT(BPF_LD | BPF_W | BPF_IND, sizeof(struct nlattr)),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (uint32_t)IPS_NAT_MASK, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int set(int fd, int level, int option, const void *value, size_t len)
{
	return setsockopt(fd, level, option, value, (socklen_t)len) < 0 ? -errno : 0;
}

/* The kernel doubles what it is asked for. */
static int open_socket(uint32_t buffer_bytes)
{
	const struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	const int half = (int)(buffer_bytes / 2);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	int err = fd < 0 ? -errno : 0;

	if (!err && bind(fd, (const struct sockaddr *)&self, sizeof(self)) < 0)
		err = -errno;
	if (!err)
		err = set(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half));
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

static int join(int fd)
{
	static const int groups[] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY};
	const struct sock_fprog filter = {.len = sizeof(translated_only) /
						 sizeof(translated_only[0]),
					  .filter = translated_only};
	int err = set(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]) && !err; i++)
		err = set(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]));
	return err;
}

/* The kernel puts the first part of the answer into the buffer, and the next as that is read. */
static int ask_for_dump(int fd)
{
	const struct {
		struct nlmsghdr header;
		struct nfgenmsg general;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = MESSAGE(IPCTNL_MSG_CT_GET),
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.general = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};

	return send(fd, &request, sizeof(request), 0) == sizeof(request) ? 0 : -errno;
}

/* Joined before the dump is asked for, so that what begins in between is told by both. */
static int open_both(struct nat_sockets *sockets, uint32_t buffer_bytes)
{
	struct stat st;
	int err;

	if (stat("/proc/self/ns/net", &st) < 0)
		return -errno;
	sockets->netns = (uint32_t)st.st_ino;
	sockets->events_fd = open_socket(buffer_bytes);
	err = sockets->events_fd < 0 ? sockets->events_fd : join(sockets->events_fd);
	if (err)
		return err;
	sockets->dump_fd = open_socket(buffer_bytes);
	return sockets->dump_fd < 0 ? sockets->dump_fd : ask_for_dump(sockets->dump_fd);
}

bool nat_is_tracked(void)
{
	return access(TRACKED, F_OK) == 0;
}

int nat_open(struct nat_sockets *sockets, uint32_t buffer_bytes, char *why, size_t cap)
{
	int err;

	*sockets = (struct nat_sockets){.events_fd = -1, .dump_fd = -1};
	/* A listener alone has the kernel load what it needs: not where nobody asked for tracking.
	 */
	if (!nat_is_tracked()) {
		snprintf(why, cap,
			 "connections are not tracked in this network namespace (no " TRACKED
			 "), so none is translated: when nf_conntrack is there, send SIGHUP");
		return -ENOENT;
	}
	if (procfs_number(EVENTS) == 0) {
		snprintf(why, cap,
			 "connection tracking tells of nothing here: sysctl "
			 "net.netfilter.nf_conntrack_events=1, then send SIGHUP");
		return -EOPNOTSUPP;
	}
	err = open_both(sockets, buffer_bytes);
	if (!err)
		return 0;
	nat_close(sockets);
	snprintf(why, cap, "conntrack netlink sockets: %s: is nf_conntrack_netlink there?",
		 strerror(-err));
	return err;
}

void nat_close(struct nat_sockets *sockets)
{
	if (sockets->events_fd >= 0)
		close(sockets->events_fd);
	if (sockets->dump_fd >= 0)
		close(sockets->dump_fd);
	sockets->events_fd = -1;
	sockets->dump_fd = -1;
}
