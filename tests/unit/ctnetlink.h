/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as the kernel's connection tracking sends them, for tests. */
#ifndef TESTS_UNIT_CTNETLINK_H
#define TESTS_UNIT_CTNETLINK_H

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>

#include "exporter/nat_parse.h"

#define CT_NEW     (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)
#define CT_DESTROY (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE)

struct ct_message {
	_Alignas(8) uint8_t bytes[1024];
	size_t len;
};

static inline void ct_put(struct ct_message *m, int type, const void *data, size_t len)
{
	const struct nlattr attr = {.nla_len = (uint16_t)(sizeof(attr) + len),
				    .nla_type = (uint16_t)type};

	memcpy(m->bytes + m->len, &attr, sizeof(attr));
	memcpy(m->bytes + m->len + sizeof(attr), data, len);
	m->len += (attr.nla_len + 3u) & ~3u;
}

static inline size_t ct_nest(struct ct_message *m, int type)
{
	size_t at = m->len;

	ct_put(m, type | NLA_F_NESTED, "", 0);
	return at;
}

static inline void ct_nest_end(struct ct_message *m, size_t at)
{
	uint16_t len = (uint16_t)(m->len - at);

	memcpy(m->bytes + at, &len, sizeof(len));
}

static inline void ct_put_tuple(struct ct_message *m, int type, const struct nat_conn *conn,
				const struct nat_tuple *tuple)
{
	const size_t address = conn->family == 4 ? 4 : 16;
	const uint16_t sport = htons(tuple->sport), dport = htons(tuple->dport);
	size_t all = ct_nest(m, type), part = ct_nest(m, CTA_TUPLE_IP);

	ct_put(m, conn->family == 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple->src, address);
	ct_put(m, conn->family == 4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple->dst, address);
	ct_nest_end(m, part);
	part = ct_nest(m, CTA_TUPLE_PROTO);
	ct_put(m, CTA_PROTO_NUM, &conn->protocol, 1);
	ct_put(m, CTA_PROTO_SRC_PORT, &sport, sizeof(sport));
	ct_put(m, CTA_PROTO_DST_PORT, &dport, sizeof(dport));
	ct_nest_end(m, part);
	ct_nest_end(m, all);
}

static inline void ct_begin(struct ct_message *m, uint16_t type, uint16_t flags, uint8_t family)
{
	const struct nfgenmsg general = {.nfgen_family = family == 4 ? AF_INET : AF_INET6};

	memset(m, 0, sizeof(*m));
	((struct nlmsghdr *)m->bytes)->nlmsg_type = type;
	((struct nlmsghdr *)m->bytes)->nlmsg_flags = flags;
	memcpy(m->bytes + NLMSG_HDRLEN, &general, sizeof(general));
	m->len = NLMSG_HDRLEN + sizeof(general);
}

static inline void ct_end(struct ct_message *m)
{
	((struct nlmsghdr *)m->bytes)->nlmsg_len = (uint32_t)m->len;
}

static inline void ct_make(struct ct_message *m, uint16_t type, uint16_t flags,
			   const struct nat_conn *conn)
{
	ct_begin(m, type, flags, conn->family);
	ct_put_tuple(m, CTA_TUPLE_ORIG, conn, &conn->original);
	ct_put_tuple(m, CTA_TUPLE_REPLY, conn, &conn->reply);
	ct_put(m, CTA_ID, &conn->id, sizeof(conn->id));
	ct_end(m);
}

/* A socket 10.0.0.1:port to 192.0.2.1:80, which reaches 10.0.0.2:8080. */
static inline struct nat_conn ct_dnat(uint16_t port, uint32_t id)
{
	return (struct nat_conn){
		.id = id,
		.family = 4,
		.protocol = 6,
		.original = {{10, 0, 0, 1}, {192, 0, 2, 1}, port, 80},
		.reply = {{10, 0, 0, 2}, {10, 0, 0, 1}, 8080, port},
	};
}

/* A record of that socket. */
static inline struct event ct_record(uint16_t port, uint8_t type, uint64_t opened_ns,
				     uint64_t recorded_ns)
{
	return (struct event){.type = type,
			      .protocol = 6,
			      .family = 4,
			      .netns = 77,
			      .saddr = {10, 0, 0, 1},
			      .daddr = {192, 0, 2, 1},
			      .sport = port,
			      .dport = 80,
			      .opened_ns = opened_ns,
			      .recorded_ns = recorded_ns,
			      .closed_ns = type == EVENT_CLOSE ? recorded_ns : 0};
}

#endif
