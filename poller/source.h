/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the poller looks at, whatever it is. A source is opened once, before the process closes
 * itself in, and looked at again and again. What it finds is handed on as bytes, unread: what they
 * mean, and whether to believe them, is for the verifier.
 */
#ifndef POLLER_SOURCE_H
#define POLLER_SOURCE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bundle.h"
#include "common/msg.h"
#include "poller/sandbox.h"

/* What a source is opened with; lives as long as the process. */
struct source_setup {
	const struct config *config;
	int dir_fd;   /* FD_SOURCE, -1: none came */
	int root_fd;  /* FD_ROOT, likewise: a sealed memfd */
	int store_fd; /* FD_STORE, likewise */
	/*
	 * A look that takes long calls this at least once a second: signs of life are sent, the
	 * channel is heard. false: the process is to end, so leave off.
	 */
	bool (*breathe)(void *ctx);
	void *ctx; /* for breathe */
};

/* What one look found. The source fills it, zeroed before. */
struct source_look {
	bool found;                /* what and bytes are to be sent up, even if the look failed */
	struct msg_candidate what; /* what the bytes are */
	const char *bytes;         /* the source's, until the next look */
	size_t len_bytes;
	uint32_t wait_ms;       /* the server asks not to be asked before; 0: it doesn't */
	char why[MSG_TEXT_MAX]; /* of what failed, with the remedy */
};

/* A number that differs when what was found does (FNV-1a, 64 bits; equal content is what is asked,
   nobody is kept from making collisions who could not also write the content). */
uint64_t source_look_hash(const struct source_look *look);

/* What was found is a bundle, which stays the source's. */
void source_look_bundle(struct source_look *look, const struct bundle *bundle);

/* How long to leave a server alone that asks for so many seconds, within reason; 0 for 0. */
uint32_t source_wait_ms(uint32_t retry_after_s);

/* The port of a URL with a host, or another one if it names none. */
uint16_t source_port(const char *url, uint16_t otherwise);

/* What a look returns that failed, when why says it all. */
#define SOURCE_FAILED (-EBADMSG)

/* What a source returns whose server does not have what is asked: it is left alone until reload. */
#define SOURCE_UNIMPLEMENTED (-EOPNOTSUPP)

struct source {
	/*
	 * Get ready, and name what the sandbox is to leave open. *self is for look() and
	 * on_verdict(). Returns 0, or a negative errno with why: the process ends.
	 */
	int (*open)(const struct source_setup *setup, struct sandbox_needs *needs, void **self,
		    char *why, size_t cap);

	/* Returns 0, SOURCE_UNIMPLEMENTED, SOURCE_FAILED, or another negative errno; both with
	 * look->why. */
	int (*look)(void *self, struct source_look *look);

	/* What became of what was sent; NULL: it is all the same. */
	void (*on_verdict)(void *self, const struct msg_verdict *verdict);
};

#endif
