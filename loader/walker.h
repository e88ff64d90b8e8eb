/* SPDX-License-Identifier: Apache-2.0 */
/* One walk after the other, each a slice at a time from the event loop. */
#ifndef LOADER_WALKER_H
#define LOADER_WALKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/loop.h"
#include "loader/walk.h"

struct walker {
	const char *over; /* what it walks over, for the log */
	int links[WALK_ITERATORS_MAX];
	size_t count;
	struct settings *settings; /* NULL: its program asks for none */
	struct walk_stats stats;

	struct walk walk;
	bool under_way;
	uint64_t id;      /* of the one under way; 0 = on the tick */
	uint64_t next_id; /* to be made after it; 0 = none */
	int pause_fd;     /* timer */
};

/* over, links, count and settings are set. Returns 0 or a negative errno. */
int walker_open(struct walker *walker, struct loop *loop);

/*
 * Begin a walk; with an id (which only grow) it is one that begins from now on. Without, none is
 * begun while one is under way.
 */
void walker_walk(struct walker *walker, uint64_t id);

#endif
