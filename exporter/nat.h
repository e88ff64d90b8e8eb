/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What address translation makes of connections: the kernel's connection tracking tells it by
 * netlink, on sockets that the loader opened and joined while it was allowed to. Reading them needs
 * no privilege; to ask for anything would. So the dump of what is tracked already was asked for by
 * the loader, too, and lies in a socket of its own, which the kernel fills as it is read.
 *
 * Only the network namespace of these sockets is known.
 */
#ifndef EXPORTER_NAT_H
#define EXPORTER_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/loop.h"
#include "exporter/nat_cache.h"
#include "exporter/nat_parse.h"

/* Begins that are noted in a second; more are skipped, and counted. */
#define NAT_BEGINS_PER_S 10000u

/* How long a dump may take; then it is given up, and counted. */
#define NAT_DUMP_MS 10000u

/* How long records wait in the ring for the sockets and their dump. */
#define NAT_WAIT_MS 2000u

/* The most that the kernel puts into one message of a dump (net/netlink/af_netlink.c). */
#define NAT_READ_BYTES 32768u

/* The fds of a NAT message. */
#define NAT_FDS 2u

struct nat {
	struct nat_cache cache; /* closed if nothing is asked for */
	struct loop *loop;
	bool on;
	bool answered;  /* there are sockets, or there is word that there are none */
	uint32_t netns; /* inode number of theirs */
	int events_fd;  /* -1 = none */
	int dump_fd;    /* -1 = none, or read to its end */
	uint32_t reads; /* that are left in this turn */
	uint64_t wait_until_ms;
	uint64_t dump_until_ms;
	uint64_t asked_ns;   /* the dump was asked for before */
	uint64_t doubt_ns;   /* the latest doubt before that */
	uint64_t drained_ns; /* nothing was left to read then */
	uint64_t second;     /* whose begins are counted */
	uint32_t begins;

	/* For STATS. */
	uint64_t events; /* begins and ends; the kernel tells of those translated */
	uint64_t skipped;
	uint64_t overruns;
	uint64_t dumped; /* connections in dumps, translated or not */
	uint64_t dumps_cut;

	_Alignas(8) uint8_t buffer[NAT_READ_BYTES];
};

/*
 * Without on nothing is ever known. max: translated connections kept. Returns 0 or a negative
 * errno.
 */
int nat_open(struct nat *nat, struct loop *loop, bool on, uint32_t max);

/*
 * Fresh sockets, or -1 and -1: there are none to be had. Takes the fds; those of before are read to
 * their end and closed. Returns 0 or a negative errno of the loop.
 */
int nat_take(struct nat *nat, int events_fd, int dump_fd, uint32_t netns);

/* A turn begins: how much is read in it is bounded anew. */
void nat_turn(struct nat *nat);

/* Whether records should wait a little, for what they could be told. */
bool nat_is_awaited(const struct nat *nat, uint64_t now_ms);

/* As nat_cache_find(), for records of the sockets' namespace; first reads what is older than it. */
bool nat_find(struct nat *nat, const struct event *event, struct nat_tuple *translated);

#endif
