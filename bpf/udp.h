/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the hooks of UDP mean, whichever way the kernel calls them: its functions that send a
 * packet, hand a datagram to a process, and destroy a socket.
 */
#ifndef CONNTRACE_UDP_H
#define CONNTRACE_UDP_H

#include "flow.h"

#define UDP_HEADER_BYTES 8

/* Offsets in the headers of IPv4, IPv6 and UDP. */
#define IPV4_SADDR 12
#define IPV4_DADDR 16
#define IPV6_SADDR 8
#define IPV6_DADDR 24

static __always_inline bool sk_is_udp(struct sock *sk)
{
	int failed = 0;

	return READ(TYPED_POINTERS, failed, sk, sk_protocol) == IPPROTO_UDP;
}

static __always_inline __u32 datagrams_of(__u32 bytes, __u32 segment_bytes)
{
	return segment_bytes && bytes > segment_bytes ? (bytes + segment_bytes - 1) / segment_bytes
						      : 1;
}

/*
 * A packet is complete and goes to IP: udp_send_skb(), udp_v6_send_skb(). One call for what the
 * network card, or the kernel, then cuts into many datagrams. The hook says which of fl4 and fl6 it
 * is.
 */
static __always_inline void on_udp_send(struct sk_buff *skb, struct flowi4 *fl4, struct flowi6 *fl6,
					struct inet_cork *cork, __u32 hook)
{
	struct counters *count = counters_get();
	struct datagrams seen = {.sent = true};
	struct tuple *tuple = &seen.tuple;
	struct sock *sk;
	__u32 before;
	int failed = 0;

	sk = READ(TYPED_POINTERS, failed, skb, sk);
	if (!sk || !count || !sk_is_udp(sk) || !is_in_charge(false))
		return;
	COUNT(count, run_udp_send);
	before = READ(TYPED_POINTERS, failed, skb, transport_header) + UDP_HEADER_BYTES -
		 (__u32)(READ(TYPED_POINTERS, failed, skb, data) -
			 READ(TYPED_POINTERS, failed, skb, head));
	seen.bytes = READ(TYPED_POINTERS, failed, skb, len) - before;
	seen.count = datagrams_of((__u32)seen.bytes, READ(TYPED_POINTERS, failed, cork, gso_size));
	tuple->sport = READ(TYPED_POINTERS, failed, sk, __sk_common.skc_num);
	if (hook == FLOW_SEND) {
		tuple->family = 4;
		address_of_v4(tuple->saddr, READ(TYPED_POINTERS, failed, fl4, saddr));
		address_of_v4(tuple->daddr, READ(TYPED_POINTERS, failed, fl4, daddr));
		tuple->dport = bpf_ntohs(READ(TYPED_POINTERS, failed, fl4, uli.ports.dport));
	} else {
		tuple->family = 6;
		address_read(TYPED_POINTERS, &failed, tuple->saddr, &fl6->saddr);
		address_read(TYPED_POINTERS, &failed, tuple->daddr, &fl6->daddr);
		tuple->dport = bpf_ntohs(READ(TYPED_POINTERS, failed, fl6, uli.ports.dport));
	}
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
	on_datagrams(sk, &seen, count, hook);
}

static __always_inline void header_read(int *failed, void *to, __u32 bytes, unsigned char *from)
{
	*failed |= (int)bpf_probe_read_kernel(to, bytes, from);
}

/* Who sent it and to which address of ours: from the headers, which are before the payload still.
 */
static __always_inline void tuple_received(int *failed, struct tuple *tuple, struct sk_buff *skb,
					   unsigned char *head)
{
	unsigned char *ip = head + READ(TYPED_POINTERS, *failed, skb, network_header);
	unsigned char *udp = head + READ(TYPED_POINTERS, *failed, skb, transport_header);
	__be16 ports[2] = {0, 0};

	header_read(failed, ports, sizeof(ports), udp);
	tuple->dport = bpf_ntohs(ports[0]);
	tuple->sport = bpf_ntohs(ports[1]);
	if (READ(TYPED_POINTERS, *failed, skb, protocol) == bpf_htons(ETH_P_IP)) {
		tuple->family = 4;
		header_read(failed, tuple->daddr, sizeof(__be32), ip + IPV4_SADDR);
		header_read(failed, tuple->saddr, sizeof(__be32), ip + IPV4_DADDR);
	} else {
		tuple->family = 6;
		header_read(failed, tuple->daddr, sizeof(tuple->daddr), ip + IPV6_SADDR);
		header_read(failed, tuple->saddr, sizeof(tuple->saddr), ip + IPV6_DADDR);
	}
}

/*
 * A process has taken what is in the buffer: skb_consume_udp(). len is what was copied, negative if
 * the process only looked ahead (MSG_PEEK); of an empty datagram the references tell.
 */
static __always_inline void on_udp_receive(struct sock *sk, struct sk_buff *skb, int len)
{
	struct counters *count = counters_get();
	struct datagrams seen = {.sent = false};
	struct skb_shared_info *shared;
	__u16 segment_bytes = 0;
	unsigned char *head;
	int failed = 0;

	if (len < 0 || !count || !sk_is_udp(sk) || !is_in_charge(false))
		return;
	if (len == 0 && READ(TYPED_POINTERS, failed, skb, users.refs.counter) > 1)
		return;
	COUNT(count, run_udp_receive);
	head = READ(TYPED_POINTERS, failed, skb, head);
	tuple_received(&failed, &seen.tuple, skb, head);
	shared = (struct skb_shared_info *)(head + READ(TYPED_POINTERS, failed, skb, end));
	segment_bytes = READ(false, failed, shared, gso_size);
	seen.bytes = READ(TYPED_POINTERS, failed, skb, len);
	seen.count = datagrams_of((__u32)seen.bytes, segment_bytes);
	if (failed)
		telemetry_note(TELEMETRY_helper_read, failed);
	on_datagrams(sk, &seen, count, FLOW_RECEIVE);
}

/* A UDP socket goes away: udp_destroy_sock(). */
static __always_inline void on_udp_destroy(struct sock *sk, __u32 hook)
{
	__u64 socket_key = (__u64)sk;
	const struct flow_socket *socket = bpf_map_lookup_elem(&flow_sockets, &socket_key);
	struct counters *count = counters_get();
	struct flow_level *level;
	struct flow_work *work;
	struct flow_key key;

	if (!socket || !count || !is_in_charge(false))
		return;
	COUNT(count, run_udp_end);
	key = socket->last;
	(void)bpf_map_delete_elem(&flow_sockets, &socket_key);
	work = bpf_map_lookup_elem(&flow_works, &hook);
	if (!work)
		return;
	level = flow_begin(work, hook);
	(void)flow_end(&level->report, &level->flow, &key, 0, count);
	work->depth--;
}

#endif
