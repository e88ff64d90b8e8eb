/* SPDX-License-Identifier: Apache-2.0 */
/* One walk after the other, each a slice at a time from the event loop. */
#ifndef LOADER_WALKER_H
#define LOADER_WALKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "loader/room.h"
#include "loader/settings.h"
#include "loader/unseen.h"
#include "loader/walk.h"

/* What is walked over, after the UDP flows. */
enum walk_way {
	WALK_WHOLE, /* all sockets that something is remembered of */
	WALK_FILES, /* the files of all processes */
	WALK_WAYS,
};

struct walker {
	int links[WALK_WAYS][WALK_ITERATORS_MAX]; /* -1 = none */
	struct settings_maps maps;
	struct walk_stats stats[WALK_WAYS];
	struct unseen unseen;
	struct room room;

	struct walk walk;
	enum walk_way way;
	bool under_way;
	bool files_next;  /* after that */
	uint64_t id;      /* of the one under way; 0 = on the tick */
	uint64_t next_id; /* to be made after it; 0 = none */
	int pause_fd;     /* timer */
	int room_fd;      /* timer */
};

/* links, maps and room are set. Returns 0 or a negative errno. */
int walker_open(struct walker *walker, struct loop *loop);

/*
 * Begin a whole walk; with an id (which only grow) it is one that begins from now on. Without, none
 * is begun while one is under way.
 */
void walker_whole(struct walker *walker, uint64_t id);

/* A walk over files, now or after the one that is under way. */
void walker_files(struct walker *walker);

#endif
