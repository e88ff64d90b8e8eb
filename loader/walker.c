/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/walker.h"

#include <string.h>

#include "common/log.h"
#include "loader/settings.h"

#define NS_PER_MS 1000000u

static void begin(struct walker *walker, uint64_t id)
{
	walk_begin(&walker->walk, walker->links, walker->count, id != 0);
	walker->under_way = true;
	walker->id = id;
}

/* A slice. Returns whether there is something to go on with after *pause_ns. */
static bool go_on(struct walker *walker, uint64_t *pause_ns)
{
	int got;

	if (walker->settings)
		settings_set_walk(walker->settings, walker->id,
				  loop_now_ns() + walk_waits_ns(&walker->walk));
	got = walk_step(&walker->walk, &walker->stats, pause_ns);
	if (got == 1)
		return true;
	if (got < 0)
		log_warning("walk over %s: %s", walker->over, strerror(-got));
	walker->under_way = false;
	if (!walker->next_id)
		return false;
	begin(walker, walker->next_id);
	walker->next_id = 0;
	*pause_ns = NS_PER_MS;
	return true;
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

int walker_open(struct walker *walker, struct loop *loop)
{
	walker->pause_fd = loop_timer(loop, 0, 0, on_pause_over, walker);
	return walker->pause_fd < 0 ? walker->pause_fd : 0;
}

void walker_walk(struct walker *walker, uint64_t id)
{
	if (walker->under_way) {
		if (id) {
			walker->next_id = id;
			walker->walk.awaited = true;
		}
		return;
	}
	begin(walker, id);
	slice(walker);
}
