/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/nat_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#define EXACT(bytes) \
	{ \
		.minlen = (bytes), .maxlen = (bytes) \
	}
#define NESTED \
	{ \
		.type = NLA_NESTED \
	}

/* Net byte order all; linux/netfilter/nfnetlink_conntrack.h has the numbers. */
static struct nla_policy conn_policy[CTA_MAX + 1] = {
	[CTA_TUPLE_ORIG] = NESTED,
	[CTA_TUPLE_REPLY] = NESTED,
	[CTA_ID] = EXACT(4),
	[CTA_ZONE] = EXACT(2),
};
static struct nla_policy tuple_policy[CTA_TUPLE_MAX + 1] = {
	[CTA_TUPLE_IP] = NESTED,
	[CTA_TUPLE_PROTO] = NESTED,
	[CTA_TUPLE_ZONE] = EXACT(2),
};
static struct nla_policy ip_policy[CTA_IP_MAX + 1] = {
	[CTA_IP_V4_SRC] = EXACT(4),
	[CTA_IP_V4_DST] = EXACT(4),
	[CTA_IP_V6_SRC] = EXACT(16),
	[CTA_IP_V6_DST] = EXACT(16),
};
static struct nla_policy proto_policy[CTA_PROTO_MAX + 1] = {
	[CTA_PROTO_NUM] = EXACT(1),
	[CTA_PROTO_SRC_PORT] = EXACT(2),
	[CTA_PROTO_DST_PORT] = EXACT(2),
};

static bool read_addresses(struct nlattr *attr, uint8_t family, struct nat_tuple *tuple)
{
	const int src = family == 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
	const int dst = family == 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST;
	struct nlattr *found[CTA_IP_MAX + 1];

	if (nla_parse_nested(found, CTA_IP_MAX, attr, ip_policy) < 0 || !found[src] || !found[dst])
		return false;
	memcpy(tuple->src, nla_data(found[src]), (size_t)nla_len(found[src]));
	memcpy(tuple->dst, nla_data(found[dst]), (size_t)nla_len(found[dst]));
	return true;
}

static bool read_ports(struct nlattr *attr, uint8_t *protocol, struct nat_tuple *tuple)
{
	struct nlattr *found[CTA_PROTO_MAX + 1];

	if (nla_parse_nested(found, CTA_PROTO_MAX, attr, proto_policy) < 0 ||
	    !found[CTA_PROTO_NUM] || !found[CTA_PROTO_SRC_PORT] || !found[CTA_PROTO_DST_PORT])
		return false;
	*protocol = nla_get_u8(found[CTA_PROTO_NUM]);
	tuple->sport = ntohs(nla_get_u16(found[CTA_PROTO_SRC_PORT]));
	tuple->dport = ntohs(nla_get_u16(found[CTA_PROTO_DST_PORT]));
	return *protocol == IPPROTO_TCP || *protocol == IPPROTO_UDP;
}

static bool read_tuple(struct nlattr *attr, uint8_t family, uint8_t *protocol,
		       struct nat_tuple *tuple)
{
	struct nlattr *found[CTA_TUPLE_MAX + 1];

	if (nla_parse_nested(found, CTA_TUPLE_MAX, attr, tuple_policy) < 0 ||
	    !found[CTA_TUPLE_IP] || !found[CTA_TUPLE_PROTO] || found[CTA_TUPLE_ZONE])
		return false;
	return read_addresses(found[CTA_TUPLE_IP], family, tuple) &&
	       read_ports(found[CTA_TUPLE_PROTO], protocol, tuple);
}

/*
 * A zone has connections of its own with the same addresses, and a socket does not tell in which
 * one it is: of these nothing can be said.
 */
static bool read_conn(struct nlmsghdr *header, struct nat_conn *conn)
{
	struct nlattr *found[CTA_MAX + 1];
	const struct nfgenmsg *general = nlmsg_data(header);
	uint8_t reply_protocol;

	if (nlmsg_parse(header, sizeof(*general), found, CTA_MAX, conn_policy) < 0 ||
	    !found[CTA_TUPLE_ORIG] || !found[CTA_TUPLE_REPLY] || found[CTA_ZONE])
		return false;
	if (general->nfgen_family != AF_INET && general->nfgen_family != AF_INET6)
		return false;
	conn->family = general->nfgen_family == AF_INET ? 4 : 6;
	conn->id = found[CTA_ID] ? nla_get_u32(found[CTA_ID]) : 0;
	return read_tuple(found[CTA_TUPLE_ORIG], conn->family, &conn->protocol, &conn->original) &&
	       read_tuple(found[CTA_TUPLE_REPLY], conn->family, &reply_protocol, &conn->reply) &&
	       conn->protocol == reply_protocol;
}

/* The error stands where a request would: a number, 0 for "well". */
static int error_of(struct nlmsghdr *header)
{
	int err;

	if (nlmsg_datalen(header) < (int)sizeof(err))
		return 0;
	memcpy(&err, nlmsg_data(header), sizeof(err));
	return err < 0 && err != INT_MIN ? -err : 0;
}

static enum nat_kind kind_of(const struct nlmsghdr *header)
{
	switch (header->nlmsg_type) {
	case NLMSG_DONE:
		return NAT_DONE;
	case NLMSG_ERROR:
	case NLMSG_OVERRUN:
		return NAT_ERROR;
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE:
		return NAT_DESTROY;
	case NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW:
		return header->nlmsg_flags & NLM_F_MULTI ? NAT_DUMPED : NAT_NEW;
	default:
		return NAT_OTHER;
	}
}

int nat_parse(const void *bytes, size_t len, struct nat_message *message)
{
	struct nlmsghdr *header = (struct nlmsghdr *)(uintptr_t)bytes;
	size_t taken;

	memset(message, 0, sizeof(*message));
	if (!len)
		return 0;
	if (len > INT_MAX || !nlmsg_ok(header, (int)len))
		return -EBADMSG;
	message->kind = kind_of(header);
	/* A dump that went wrong says so in its end. */
	if (message->kind == NAT_ERROR || message->kind == NAT_DONE)
		message->err = error_of(header);
	if (message->kind == NAT_DONE && message->err)
		message->kind = NAT_ERROR;
	if (message->kind >= NAT_NEW && message->kind <= NAT_DUMPED &&
	    !read_conn(header, &message->conn))
		message->kind = NAT_OTHER;
	taken = (size_t)NLMSG_ALIGN(header->nlmsg_len);
	return (int)(taken < len ? taken : len);
}

bool nat_is_translated(const struct nat_conn *conn)
{
	const struct nat_tuple *there = &conn->original, *back = &conn->reply;

	return there->sport != back->dport || there->dport != back->sport ||
	       memcmp(there->src, back->dst, sizeof(there->src)) != 0 ||
	       memcmp(there->dst, back->src, sizeof(there->dst)) != 0;
}
