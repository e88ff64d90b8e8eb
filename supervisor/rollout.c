/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rollout.h"

#include <stdio.h>
#include <string.h>

#include "common/fnv.h"
#include "supervisor/children.h"
#include "supervisor/custody.h"
#include "supervisor/remote.h"
#include "supervisor/replace.h"
#include "supervisor/texts.h"
#include "supervisor/verdict.h"

static bool is_at_work(const struct supervisor *sup, enum role role)
{
	return sup->procs[role].life.state == LIFE_RUNNING;
}

static struct probation_count count_records(const struct supervisor *sup)
{
	uint64_t counters[MSG_COUNTERS], ledger[MSG_LEDGER], lost;
	struct counters c = {0};
	struct ledger l = {0};

	custody_ledger(&sup->custody, ledger);
	custody_counters(&sup->custody, counters);
	memcpy(&c, counters, sizeof(counters));
	memcpy(&l, ledger, sizeof(ledger));
	lost = c.lost_open + c.lost_update + c.lost_close + c.lost_unseen;
	return (struct probation_count){
		.records = c.submitted_open + c.submitted_update + c.submitted_close + lost,
		.lost = lost + l.dropped_malformed + l.dropped_sink_open + l.dropped_sink_update +
			l.dropped_sink_close,
	};
}
_Static_assert(MSG_COUNTERS * sizeof(uint64_t) <= sizeof(struct counters), "rollout: counters");
_Static_assert(MSG_LEDGER * sizeof(uint64_t) <= sizeof(struct ledger), "rollout: ledger");

static struct probation_look look_now(const struct supervisor *sup)
{
	return (struct probation_look){
		.now_ms = loop_now_ms(),
		.length_ms = sup->configure.current.config.probation_ms,
		.at_work = is_at_work(sup, ROLE_LOADER) && is_at_work(sup, ROLE_EXPORTER),
		.count = count_records(sup),
	};
}

/* --- the way back --- */

/* Whoever could make two that agree is who sends them, and only keeps his own from being tried. */
static uint64_t digest(const struct config *config)
{
	return fnv1a(FNV1A_START, config, sizeof(*config));
}

static void reject(struct rollout *rollout, const struct config *config, const char *why)
{
	uint32_t at = rollout->rejected_count++ % REJECTED_MAX;

	rollout->rejected[at].digest = digest(config);
	snprintf(rollout->rejected[at].why, sizeof(rollout->rejected[at].why), "%s", why);
}

/* One that fails for another reason than its settings gets another try, too. */
static void replace_if_down(struct proc *proc)
{
	if (proc->life.state == LIFE_FAILED || proc->life.state == LIFE_BACKOFF)
		children_event(proc, LIFE_REPLACE);
}

static void roll_back(struct supervisor *sup, const char *cause)
{
	struct configure *conf = &sup->configure;
	struct rollout *rollout = &sup->rollout;
	struct config failed = conf->current.config;
	uint32_t version = conf->current.version++;
	char text[MSG_TEXT_MAX];

	probation_end(&rollout->probation);
	conf->current.config = rollout->proven_config;
	snprintf(text, sizeof(text),
		 "version %u was rolled back: %.120s; version %u is as before; not tried again "
		 "until it changes or by SIGHUP",
		 version, cause, conf->current.version);
	reject(rollout, &failed, text);
	remote_rolled_back(sup);
	verdict_on_source(sup, VERDICT_ROLLED_BACK, text, &conf->origins, NULL);
	conf->origins = rollout->proven_origins;
	texts_move(&conf->source, &rollout->proven);
	replace_children(sup, &failed, false);
	replace_if_down(&sup->procs[ROLE_LOADER]);
	replace_if_down(&sup->procs[ROLE_EXPORTER]);
}

static void pass(struct supervisor *sup)
{
	char text[MSG_TEXT_MAX];

	texts_drop(&sup->rollout.proven);
	remote_passed(sup);
	snprintf(text, sizeof(text), "version %u has passed its probation",
		 sup->configure.current.version);
	verdict_on_source(sup, VERDICT_PASSED, text, &sup->configure.origins, NULL);
}

/* --- what happened --- */

static bool is_judged(const struct proc *proc)
{
	return proc->role == ROLE_LOADER || proc->role == ROLE_EXPORTER;
}

void rollout_crashed(struct proc *proc)
{
	char cause[MSG_TEXT_MAX];

	if (!is_judged(proc) ||
	    probation_crash(&proc->sup->rollout.probation) != PROBATION_CRASHING)
		return;
	snprintf(cause, sizeof(cause), "%u crashes on probation, the last of the %s: %.80s",
		 PROBATION_CRASHES, proto_role_name(proc->role), proc->last);
	roll_back(proc->sup, cause);
}

bool rollout_given_up(struct proc *proc)
{
	char cause[MSG_TEXT_MAX];

	if (!is_judged(proc) || !proc->sup->rollout.probation.under_way)
		return false;
	snprintf(cause, sizeof(cause), "the %s was given up: %.100s", proto_role_name(proc->role),
		 proc->last);
	roll_back(proc->sup, cause);
	return true;
}

static void losing(struct supervisor *sup, const struct probation_count *count)
{
	const struct probation *probation = &sup->rollout.probation;
	struct probation_count since = probation_since(probation, count);
	uint32_t now = probation_share(&since), before = probation_share(&probation->before);
	char cause[MSG_TEXT_MAX];

	snprintf(cause, sizeof(cause), "%llu of %llu records lost, %u.%02u %%, before %u.%02u %%",
		 (unsigned long long)since.lost, (unsigned long long)since.records, now / 100,
		 now % 100, before / 100, before % 100);
	roll_back(sup, cause);
}

static void on_end(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;

	(void)events;
	(void)loop_timer_ack(sup->rollout.end_fd);
	rollout_look(sup);
}

/* It ends on time, not when somebody sends his numbers next; if there is no timer, then. */
static void await_end(struct supervisor *sup)
{
	struct rollout *rollout = &sup->rollout;
	uint32_t left_ms = probation_left_ms(&rollout->probation, loop_now_ms());

	if (!left_ms || !rollout->probation.until_ms)
		return;
	if (rollout->end_fd <= 0)
		rollout->end_fd = loop_timer(&sup->loop, left_ms, 0, on_end, sup);
	else
		(void)loop_timer_set(rollout->end_fd, left_ms, 0);
}

void rollout_look(struct supervisor *sup)
{
	struct probation_look look;

	/* Nobody is to be started any more. */
	if (sup->stopping || sup->upgrade.state == UPGRADE_LEAVING)
		return;
	look = look_now(sup);
	switch (probation_look(&sup->rollout.probation, &look)) {
	case PROBATION_LOSING:
		losing(sup, &look.count);
		break;
	case PROBATION_PASSED:
		pass(sup);
		break;
	default:
		await_end(sup);
		break;
	}
}

/* --- what is in force --- */

enum verdict rollout_source(struct supervisor *sup, const struct config *old, bool changed)
{
	struct rollout *rollout = &sup->rollout;
	bool under_way = rollout->probation.under_way;
	struct probation_look look = look_now(sup);

	if (!changed)
		return under_way ? VERDICT_ON_PROBATION : VERDICT_APPLIED;
	/* What is on probation has proven nothing: the way back leads to what was before it. */
	if (under_way && !replace_is_due(&rollout->proven_config, &sup->configure.current.config)) {
		probation_end(&rollout->probation);
		texts_drop(&rollout->proven);
		return VERDICT_APPLIED;
	}
	if (!under_way) {
		rollout->proven_config = *old;
		rollout->proven_origins = sup->configure.origins;
		texts_move(&rollout->proven, &sup->configure.source);
	}
	probation_begin(&rollout->probation, &look);
	return VERDICT_ON_PROBATION;
}

enum verdict rollout_reload(struct supervisor *sup)
{
	struct rollout *rollout = &sup->rollout;

	if (rollout->probation.under_way) {
		texts_move(&sup->configure.source, &rollout->proven);
		remote_rolled_back(sup);
	}
	probation_end(&rollout->probation);
	rollout->rejected_count = 0;
	return VERDICT_APPLIED;
}

const struct texts *rollout_proven(const struct supervisor *sup)
{
	return sup->rollout.probation.under_way ? &sup->rollout.proven : &sup->configure.source;
}

const char *rollout_rejected(const struct supervisor *sup, const struct config *config)
{
	const struct rollout *rollout = &sup->rollout;
	uint32_t count =
		rollout->rejected_count < REJECTED_MAX ? rollout->rejected_count : REJECTED_MAX;
	uint64_t wanted = digest(config);

	for (uint32_t i = 0; i < count; i++)
		if (rollout->rejected[i].digest == wanted)
			return rollout->rejected[i].why;
	return NULL;
}
