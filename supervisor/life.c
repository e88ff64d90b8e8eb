/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/life.h"

void life_init(struct life *life, const struct life_times *times)
{
	*life = (struct life){.times = times};
}

static enum life_action spawn(struct life *life, uint64_t now_ms)
{
	life->state = LIFE_STARTING;
	life->fatal = false;
	life->replacing = false;
	life->spawned_ms = now_ms;
	life->deadline_ms = now_ms + life->times->start_ms;
	return LIFE_SPAWN;
}

static enum life_action want(struct life *life, uint64_t now_ms)
{
	life->wanted = true;
	life->crashes = 0;
	return spawn(life, now_ms);
}

static enum life_action greeted(struct life *life, uint64_t now_ms)
{
	life->state = LIFE_READY;
	life->deadline_ms = now_ms + life->times->ready_ms;
	return LIFE_NOTHING;
}

static enum life_action up(struct life *life, uint64_t now_ms)
{
	life->state = LIFE_RUNNING;
	life->deadline_ms = now_ms + life->times->silence_ms;
	return LIFE_NOTHING;
}

static enum life_action healthy(struct life *life, uint64_t now_ms)
{
	life->deadline_ms = now_ms + life->times->silence_ms;
	return LIFE_NOTHING;
}

static enum life_action end(struct life *life, uint64_t now_ms, enum life_action how)
{
	life->state = LIFE_STOPPING;
	life->deadline_ms = now_ms + life->times->stop_ms;
	return how;
}

static enum life_action broken(struct life *life, uint64_t now_ms)
{
	return end(life, now_ms, LIFE_KILL);
}

static enum life_action fatal(struct life *life, uint64_t now_ms)
{
	life->fatal = true;
	return end(life, now_ms, LIFE_CLOSE);
}

static enum life_action stop(struct life *life, uint64_t now_ms)
{
	life->wanted = false;
	return end(life, now_ms, LIFE_CLOSE);
}

static enum life_action replace(struct life *life, uint64_t now_ms)
{
	life->wanted = true;
	life->replacing = true;
	return end(life, now_ms, LIFE_CLOSE);
}

/* Nothing runs; forget it. */
static enum life_action forget(struct life *life, uint64_t now_ms)
{
	(void)now_ms;
	life->wanted = false;
	life->state = LIFE_IDLE;
	life->deadline_ms = 0;
	return LIFE_NOTHING;
}

/* It is ending already: only what shall follow changes. A replacement may fare better. */
static enum life_action fatal_after(struct life *life, uint64_t now_ms)
{
	(void)now_ms;
	life->fatal = !life->replacing;
	return LIFE_NOTHING;
}

static enum life_action stop_after(struct life *life, uint64_t now_ms)
{
	(void)now_ms;
	life->wanted = false;
	life->replacing = false;
	return LIFE_NOTHING;
}

static enum life_action replace_after(struct life *life, uint64_t now_ms)
{
	(void)now_ms;
	life->wanted = true;
	life->fatal = false; /* what could not work may work with what is new */
	life->replacing = true;
	return LIFE_NOTHING;
}

static enum life_action replace_now(struct life *life, uint64_t now_ms)
{
	life->replaced++;
	return want(life, now_ms);
}

static enum life_action overdue(struct life *life, uint64_t now_ms)
{
	return now_ms < life->deadline_ms ? LIFE_NOTHING : end(life, now_ms, LIFE_KILL);
}

static enum life_action again(struct life *life, uint64_t now_ms)
{
	if (now_ms < life->deadline_ms)
		return LIFE_NOTHING;
	life->restarts++;
	return spawn(life, now_ms);
}

static uint32_t backoff_ms(uint32_t crashes)
{
	uint32_t wait = LIFE_BACKOFF_FIRST_MS;

	for (uint32_t n = 1; n < crashes && wait < LIFE_BACKOFF_MOST_MS; n++)
		wait *= 2;
	return wait < LIFE_BACKOFF_MOST_MS ? wait : LIFE_BACKOFF_MOST_MS;
}

static enum life_action exited(struct life *life, uint64_t now_ms)
{
	if (!life->wanted)
		return forget(life, now_ms);
	if (life->replacing && !life->fatal)
		return replace_now(life, now_ms);
	if (now_ms - life->spawned_ms >= LIFE_STEADY_MS)
		life->crashes = 0;
	life->crashes++;
	if (life->fatal || life->crashes >= LIFE_CRASHES_MAX) {
		life->state = LIFE_FAILED;
		life->deadline_ms = 0;
		return LIFE_GIVEN_UP;
	}
	life->state = LIFE_BACKOFF;
	life->deadline_ms = now_ms + backoff_ms(life->crashes);
	return LIFE_NOTHING;
}

typedef enum life_action (*transition)(struct life *life, uint64_t now_ms);

/* What isn't here changes nothing: a late HEALTH of a child that is being stopped, say. */
static const transition transitions[LIFE_STATE_COUNT][LIFE_EVENT_COUNT] = {
	[LIFE_IDLE] = {[LIFE_WANT] = want, [LIFE_REPLACE] = want},
	[LIFE_STARTING] = {[LIFE_HELLO] = greeted,
			   [LIFE_BROKEN] = broken,
			   [LIFE_FATAL] = fatal,
			   [LIFE_STOP] = stop,
			   [LIFE_REPLACE] = replace,
			   [LIFE_EXITED] = exited,
			   [LIFE_TICK] = overdue},
	[LIFE_READY] = {[LIFE_UP] = up,
			[LIFE_BROKEN] = broken,
			[LIFE_FATAL] = fatal,
			[LIFE_STOP] = stop,
			[LIFE_REPLACE] = replace,
			[LIFE_EXITED] = exited,
			[LIFE_TICK] = overdue},
	[LIFE_RUNNING] = {[LIFE_HEALTH] = healthy,
			  [LIFE_BROKEN] = broken,
			  [LIFE_FATAL] = fatal,
			  [LIFE_STOP] = stop,
			  [LIFE_REPLACE] = replace,
			  [LIFE_EXITED] = exited,
			  [LIFE_TICK] = overdue},
	[LIFE_STOPPING] = {[LIFE_WANT] = replace_after,
			   [LIFE_FATAL] = fatal_after,
			   [LIFE_STOP] = stop_after,
			   [LIFE_REPLACE] = replace_after,
			   [LIFE_EXITED] = exited,
			   [LIFE_TICK] = overdue},
	[LIFE_BACKOFF] = {[LIFE_STOP] = forget, [LIFE_REPLACE] = replace_now, [LIFE_TICK] = again},
	[LIFE_FAILED] = {[LIFE_WANT] = want, [LIFE_STOP] = forget, [LIFE_REPLACE] = replace_now},
};

enum life_action life_step(struct life *life, enum life_event event, uint64_t now_ms)
{
	transition step = transitions[life->state][event];

	return step ? step(life, now_ms) : LIFE_NOTHING;
}
