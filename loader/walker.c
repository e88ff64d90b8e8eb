/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/walker.h"

#include <string.h>

#include "common/counters.h"
#include "common/log.h"

#define NS_PER_MS 1000000u

/* No walk has ended since. */
#define MET_UNKNOWN UINT64_MAX

static void begin_account(struct walker *walker)
{
	struct counters sum;

	walker->maps.settings->walk_met = MET_UNKNOWN;
	counters_sum(walker->maps.counters, &sum);
	unseen_begin(&walker->unseen, &sum);
}

/* Ends that no program saw are counted, so that a loss marker tells them. */
static void end_account(struct walker *walker)
{
	uint64_t gone, met = walker->maps.settings->walk_met;
	struct counters *slot = walker->maps.counters;
	struct counters sum;

	if (met == MET_UNKNOWN)
		return;
	counters_sum(walker->maps.counters, &sum);
	room_walked(&walker->room, &sum, walker->maps.settings->walk_sockets);
	gone = unseen_end(&walker->unseen, &sum, met, walker->walk.slices);
	__atomic_fetch_add(&slot->closed, gone, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slot->lost_unseen, gone, __ATOMIC_RELAXED);
}

static void begin(struct walker *walker, enum walk_way way, uint64_t id)
{
	if (way == WALK_WHOLE)
		begin_account(walker);
	walk_begin(&walker->walk, walker->links[way], WALK_ITERATORS_MAX,
		   way == WALK_FILES ? WALK_SLICE_FILES : WALK_SLICE, id != 0);
	walker->way = way;
	walker->under_way = true;
	walker->id = id;
}

/* What waits for its turn. Returns whether there is something. */
static bool begin_next(struct walker *walker)
{
	if (walker->next_id)
		begin(walker, WALK_WHOLE, walker->next_id);
	else if (walker->files_next)
		begin(walker, WALK_FILES, 0);
	else
		return false;
	if (walker->id)
		walker->next_id = 0;
	else
		walker->files_next = false;
	return true;
}

/* A slice. Returns whether there is something to go on with after *pause_ns. */
static bool go_on(struct walker *walker, uint64_t *pause_ns)
{
	static const char *const over[] = {
		[WALK_WHOLE] = "the connections", [WALK_FILES] = "all files"};
	int got;

	settings_set_walk(walker->maps.settings, walker->id,
			  loop_now_ns() + walk_waits_ns(&walker->walk));
	got = walk_step(&walker->walk, &walker->stats[walker->way], pause_ns);
	if (got == 1)
		return true;
	if (got < 0)
		log_warning("walk over %s: %s", over[walker->way], strerror(-got));
	else if (walker->way == WALK_WHOLE)
		end_account(walker);
	walker->under_way = false;
	*pause_ns = NS_PER_MS;
	return begin_next(walker);
}

static void slice(struct walker *walker)
{
	uint64_t pause_ns;

	if (go_on(walker, &pause_ns))
		(void)loop_timer_set(walker->pause_fd,
				     (uint32_t)((pause_ns + NS_PER_MS - 1) / NS_PER_MS), 0);
}

static void on_pause_over(void *ctx, uint32_t events)
{
	struct walker *walker = ctx;

	(void)events;
	if (loop_timer_ack(walker->pause_fd) && walker->under_way)
		slice(walker);
}

static void look_for_room(struct walker *walker)
{
	struct settings *settings = walker->maps.settings;
	uint32_t before = settings->room;
	uint64_t taken = room_look(&walker->room, &walker->maps);

	if (settings->room == ROOM_NONE && before != ROOM_NONE)
		log_warning(
			"%llu connections are remembered, and memory_budget has room for %u: "
			"of more than these only the ends are recorded, as partial (storage_failed "
			"in conntrace status); raise memory_budget",
			(unsigned long long)taken, walker->room.max);
	else if (before == ROOM_NONE && settings->room != ROOM_NONE)
		log_info("there is room for new connections again");
	(void)loop_timer_set(walker->room_fd, room_due_ms(&walker->room, taken), 0);
}

static void on_room_due(void *ctx, uint32_t events)
{
	struct walker *walker = ctx;

	(void)events;
	if (loop_timer_ack(walker->room_fd))
		look_for_room(walker);
}

int walker_open(struct walker *walker, struct loop *loop)
{
	walker->pause_fd = loop_timer(loop, 0, 0, on_pause_over, walker);
	if (walker->pause_fd < 0)
		return walker->pause_fd;
	walker->room_fd = loop_timer(loop, 0, 0, on_room_due, walker);
	if (walker->room_fd < 0)
		return walker->room_fd;
	look_for_room(walker);
	return 0;
}

void walker_whole(struct walker *walker, uint64_t id)
{
	if (walker->under_way) {
		if (id) {
			walker->next_id = id;
			walker->walk.awaited = true;
		}
		return;
	}
	begin(walker, WALK_WHOLE, id);
	slice(walker);
}

void walker_files(struct walker *walker)
{
	if (walker->under_way) {
		walker->files_next = true;
		return;
	}
	begin(walker, WALK_FILES, 0);
	slice(walker);
}
