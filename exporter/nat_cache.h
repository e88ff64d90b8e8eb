/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The translated connections, by how a socket of this host can see them: its end sent the original
 * packets, or it is the one they reach. Bounded; all memory is taken at the start and touched only
 * as the cache fills. No system call but for that.
 *
 * A connection outlives its end in the kernel's table: the record of its close may come later. When
 * the cache is full the place is used again of one that has ended and is not waited for; then of
 * one that no record was about yet, as those that only pass through this host; then of the one
 * whose last record was longest ago.
 *
 * Times are CLOCK_MONOTONIC. An event tells only when it was read: the connection began after the
 * last time that nothing was left to read.
 */
#ifndef EXPORTER_NAT_CACHE_H
#define EXPORTER_NAT_CACHE_H

#include <stdint.h>

#include "exporter/nat_parse.h"

/* How a socket sees a connection. */
enum nat_side {
	NAT_SENDS,    /* its packets are the original ones */
	NAT_RECEIVES, /* they are the replies */
	NAT_SIDES,
};

enum nat_rank {
	NAT_OVER,   /* ended or closed, and no record is waited for */
	NAT_UNUSED, /* live, and no record was about it yet */
	NAT_USED,   /* a record was about it, and none yet of its close */
	NAT_RANKS,
};

struct nat_entry {
	struct nat_conn conn;
	uint64_t since_ns;        /* began after this; 0 = not known */
	uint64_t read_ns;         /* when the latest was read of it */
	uint64_t until_ns;        /* ended after this; UINT64_MAX = live */
	uint32_t next[NAT_SIDES]; /* in the chains; entry number * NAT_SIDES + side + 1, 0 = none */
	uint32_t newer, older;    /* in its list; entry number + 1, 0 = none */
	uint8_t rank;
	uint8_t open[NAT_SIDES]; /* 1: a record was about it, and none yet of its close */
	uint8_t closed;          /* 1: there was one of its close */
};

struct nat_list {
	uint32_t newest, oldest; /* entry number + 1 */
};

struct nat_cache {
	struct nat_entry *entries;
	uint32_t *chains;
	uint32_t max;
	uint32_t count; /* entries from here on were never used */
	uint32_t chain_mask;
	uint64_t seed;      /* of the hash, so that nobody can choose what falls into one chain */
	uint64_t unsure_ns; /* what was not confirmed after this may have ended then */
	uint64_t evicted;   /* live, or waited for, when their place was needed */
	struct nat_list lists[NAT_RANKS];
};

/* Returns 0 or a negative errno. max from 4 to 2^28. */
int nat_cache_open(struct nat_cache *cache, uint32_t max);
void nat_cache_close(struct nat_cache *cache);

/* A translated connection began, after since_ns. */
void nat_cache_begin(struct nat_cache *cache, const struct nat_conn *conn, uint64_t since_ns,
		     uint64_t now_ns);

/* It ended, after since_ns. One that is not there is ignored, or, with remember, noted as over. */
void nat_cache_end(struct nat_cache *cache, const struct nat_conn *conn, uint64_t since_ns,
		   uint64_t now_ns, bool remember);

/*
 * A dump that was asked for before asked_ns has it. A dump can be older than an end that was read
 * since then, which counts.
 */
void nat_cache_confirm(struct nat_cache *cache, const struct nat_conn *conn, uint64_t asked_ns,
		       uint64_t now_ns);

/* Events were lost, ends too: until it is confirmed a connection counts for older records alone. */
void nat_cache_doubt(struct nat_cache *cache, uint64_t now_ns);

/* A dump is complete that was asked for after a doubt: what has not been confirmed since ended. */
void nat_cache_settle(struct nat_cache *cache, uint64_t doubt_ns, uint64_t now_ns);

/*
 * What the socket of a record sees translated, in the same view: source is the local end. Returns
 * false if nothing is known of its connection. The last record of it lets the entry go.
 */
bool nat_cache_find(struct nat_cache *cache, const struct event *event,
		    struct nat_tuple *translated);

#endif
