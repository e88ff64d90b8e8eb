/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/verdict.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "supervisor/children.h"

static const enum apply_state states[VERDICT_COUNT] = {
	[VERDICT_APPLIED] = APPLY_ACKNOWLEDGED, [VERDICT_ON_PROBATION] = APPLY_UNACKNOWLEDGED,
	[VERDICT_PASSED] = APPLY_ACKNOWLEDGED,  [VERDICT_REFUSED] = APPLY_ERROR,
	[VERDICT_ROLLED_BACK] = APPLY_ERROR,
};

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_same(const struct msg_history_entry *a, const struct msg_history_entry *b)
{
	return a->verdict == b->verdict && a->by_source == b->by_source &&
	       a->version == b->version && strcmp(a->reason, b->reason) == 0;
}

/* One that only repeats the last does not push another one out. */
static void remember(struct msg_history *history, struct msg_history_entry *entry)
{
	struct msg_history_entry *entries = history->entries;
	struct msg_history_entry *last =
		history->entry_count ? &entries[history->entry_count - 1] : NULL;

	if (last && is_same(last, entry)) {
		last->times++;
		last->at_ns = entry->at_ns;
		return;
	}
	if (history->entry_count == MSG_HISTORY_MAX)
		memmove(&entries[0], &entries[1], --history->entry_count * sizeof(entries[0]));
	entries[history->entry_count++] = *entry;
}

static void say(struct supervisor *sup, enum verdict verdict, bool by_source, const char *text)
{
	struct msg_history_entry entry = {.at_ns = real_ns(),
					  .times = 1,
					  .verdict = verdict,
					  .by_source = by_source,
					  .version = sup->configure.current.version};

	snprintf(entry.reason, sizeof(entry.reason), "%s", text);
	remember(&sup->verdicts.history, &entry);
	if (verdict < VERDICT_REFUSED)
		log_info("configuration %s", text);
	else if (verdict == VERDICT_REFUSED)
		log_error("configuration refused, %s: %s",
			  entry.version ? "the one in force stays" : "there is none yet", text);
	else
		log_error("configuration %s", text);
}

static void answer_poller(struct supervisor *sup)
{
	const struct msg_history_entry *last = verdict_last(sup);
	struct msg_verdict verdict = {.applied = last->verdict < VERDICT_REFUSED,
				      .again = sup->configure.again,
				      .version = last->version,
				      .state = states[last->verdict]};
	struct proc *poller = &sup->procs[ROLE_POLLER];

	memcpy(verdict.reason, last->reason, sizeof(verdict.reason));
	if (poller->phase == PHASE_RUNNING && poller->life.state == LIFE_RUNNING)
		(void)children_send(poller, MSG_VERDICT, &verdict, NULL, 0);
}

/* Its first error, if there is one in it. */
static void tell_part(struct msg_part_state *part, const struct msg_checked *checked)
{
	for (uint32_t i = 0; i < checked->error_count && part->state != APPLY_ERROR; i++) {
		const struct msg_error *error = &checked->errors[i];

		if (strcmp(error->file, part->name) != 0)
			continue;
		part->state = APPLY_ERROR;
		snprintf(part->error, sizeof(part->error), "%u: %.110s", error->line,
			 error->reason);
	}
}

/* All or nothing: who has no error himself is not in force because of another. */
static void tell_parts(struct msg_source *source, const struct config_origins *origins,
		       const struct msg_checked *checked)
{
	bool errors = checked && checked->error_count;

	source->part_count = 0;
	/* The first text is the local file. */
	for (uint32_t i = 1; origins && i < origins->text_count; i++) {
		struct msg_part_state *part = &source->parts[source->part_count++];

		memset(part, 0, sizeof(*part));
		memcpy(part->name, origins->texts[i].name, sizeof(part->name));
		part->state = errors ? APPLY_UNACKNOWLEDGED : source->state;
		if (errors)
			tell_part(part, checked);
	}
}

void verdict_on_local(struct supervisor *sup, enum verdict verdict, const char *text)
{
	say(sup, verdict, false, text);
}

void verdict_on_source(struct supervisor *sup, enum verdict verdict, const char *text,
		       const struct config_origins *origins, const struct msg_checked *checked)
{
	struct msg_source *source = &sup->verdicts.source;

	say(sup, verdict, true, text);
	source->state = states[verdict];
	snprintf(source->error, sizeof(source->error), "%s", verdict < VERDICT_REFUSED ? "" : text);
	tell_parts(source, origins, checked);
	answer_poller(sup);
}

void verdict_stored(struct supervisor *sup, const struct config_origins *origins)
{
	struct msg_source *source = &sup->verdicts.source;

	source->state = origins->text_count > 1 ? APPLY_ACKNOWLEDGED : APPLY_UNKNOWN;
	source->error[0] = '\0';
	tell_parts(source, origins, NULL);
}

const struct msg_history_entry *verdict_last(const struct supervisor *sup)
{
	static const struct msg_history_entry none = {.verdict = VERDICT_REFUSED};
	const struct msg_history *history = &sup->verdicts.history;

	return history->entry_count ? &history->entries[history->entry_count - 1] : &none;
}

void verdict_forget_source(struct supervisor *sup)
{
	memset(&sup->verdicts.source, 0, sizeof(sup->verdicts.source));
}
