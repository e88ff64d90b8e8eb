/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports: what became of configuration, as JSON to a URL, if source.report names one. What they
 * say is what `conntrace status --json` says. One at a time; no poll waits for one, nor fails by
 * one.
 */
#ifndef POLLER_REPORT_H
#define POLLER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/msg.h"
#include "poller/due.h"
#include "poller/sandbox.h"
#include "tuf/post.h"

/* Each byte of the texts of a struct msg_source escaped, and the names of the members. */
#define REPORT_BYTES_MAX 65536u

/* Large: static. */
struct report {
	const struct config_source *config;
	void (*ask)(void *ctx);
	void *ctx;
	struct fetch_options options;
	struct post *post; /* NULL: nobody is to be told */
	struct due due;
	int due_fd, step_fd; /* timers; 0: none yet */
	bool under_way;
	uint64_t hash; /* of the one under way */
	char text[REPORT_BYTES_MAX];

	/* To be read: */
	uint64_t sent, failed;
	char error[MSG_TEXT_MAX]; /* why the last one was not taken; "": it was */
};

/*
 * Get ready, and name what the sandbox is to leave open. ask(ctx) is called when report_look() is
 * to be. config and loop live as long as the process. Without source.report there is no post, and
 * nothing happens. Returns 0, or a negative errno with why.
 */
int report_open(struct report *report, const struct config_source *config,
		struct sandbox_needs *needs, char *why, size_t cap);

/* From now on; the loop is the process's. Returns 0 or a negative errno. */
int report_begin(struct report *report, struct loop *loop, void (*ask)(void *ctx), void *ctx);

/* This is the case now: report it, or ask again when that is due. */
void report_look(struct report *report, const struct msg_source *source, uint64_t errors_in_row,
		 uint64_t next_poll_ms);

#endif
