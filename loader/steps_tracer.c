/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/steps.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "loader/attach.h"
#include "loader/handover.h"
#include "loader/walk.h"
#include "loader/reuse.h"

static enum step_result result_of(int err)
{
	return err ? STEP_FAILED : STEP_OK;
}

static enum step_result step_plan(struct ladder *ladder, struct report *report)
{
	const struct config *config = &ladder->config->config;
	struct manager_options options;
	enum plan_result result =
		plan_make(&ladder->plan, ladder->plan.tracer, config->tracer != TRACER_AUTO,
			  ladder->instance.type, &ladder->features);

	steps_say(report, "%s", ladder->plan.why);
	if (result == PLAN_NOT_SUPPORTED || result == PLAN_HOOK_MISSING) {
		report->outcome =
			result == PLAN_HOOK_MISSING ? OUTCOME_hook_missing : OUTCOME_not_supported;
		return STEP_NOT_SUPPORTED;
	}
	options = manager_options_make(&ladder->plan, config, &ladder->features, &ladder->host);
	manager_init(&ladder->manager, &options);
	ladder->room.max = ladder->plan.store == STORE_SOCKET ? config->conn_max : 0;
	if (result == PLAN_DEGRADED)
		return STEP_DEGRADED;
	steps_say(report, "connections remembered in %s, ring %u KiB",
		  ladder->plan.store == STORE_TABLE ? "a table" : "socket storage",
		  options.ring_bytes >> 10);
	return STEP_OK;
}

static enum step_result step_object(struct ladder *ladder, struct report *report)
{
	const char *name = ladder->manager.options.type->object;
	int err = object_open(&ladder->object, ladder->objects_fd, name, OBJECT_BYTES_MAX,
			      report->detail, sizeof(report->detail));

	if (err == -EPERM)
		report->outcome = OUTCOME_object_not_trusted;
	if (err)
		return STEP_FAILED;
	/* What a tracer with other constants would do is not what this one does. */
	object_mix(&ladder->object, &ladder->host.pidns_dev, sizeof(ladder->host.pidns_dev));
	object_mix(&ladder->object, &ladder->host.pidns_ino, sizeof(ladder->host.pidns_ino));
	steps_say(report, "%s, %zu bytes, identity %016llx", name, ladder->object.len,
		  (unsigned long long)ladder->object.identity);
	return STEP_OK;
}

/* An earlier loader's tracer, if it is the one that would be loaded now. */
static enum step_result step_adopt(struct ladder *ladder, struct report *report)
{
	struct tracer_inheritance *inherited = &ladder->inherited;
	const struct manager_options again = ladder->manager.options, *options = &again;
	char why[MSG_TEXT_MAX / 2] = "they come from another object";

	if (!inherited->manifest.fd_count) {
		steps_say(report, "nothing was handed down");
		return STEP_SKIPPED;
	}
	/* Its maps have the same names whichever tracer it is. */
	tracer_take(&ladder->old, options->type, options->plan.store, inherited);
	ladder->adopted = ladder->old.identity == ladder->object.identity &&
			  handover_check(&ladder->manager, &ladder->old, why, sizeof(why)) == 0;
	if (!ladder->adopted) {
		steps_say(report, "what was handed down is replaced: %s", why);
		manager_init(&ladder->manager, &again);
		return STEP_SKIPPED;
	}
	ladder->tracer = ladder->old;
	tracer_init(&ladder->old);
	steps_say(report, "the fds of an earlier loader, probes never detached");
	return STEP_OK;
}

static enum step_result skip_adopted(struct report *report)
{
	steps_say(report, "adopted");
	return STEP_SKIPPED;
}

static enum step_result step_load(struct ladder *ladder, struct report *report)
{
	const struct attach_from from = {&ladder->object, &ladder->btf, &ladder->old};
	uint32_t generation = ladder->old.generation + 1;
	int err;

	if (ladder->adopted)
		return skip_adopted(report);
	ladder->manager.options.constants.generation = generation;
	err = attach_load(&ladder->manager, &ladder->tracer, &from, report->detail,
			  sizeof(report->detail));
	ladder->tracer.generation = generation;
	if (err == -EACCES)
		report->outcome = OUTCOME_verifier_refused;
	return result_of(err);
}

/* Who is in charge when the programs are attached: nobody else, or the tracer before. */
static void prepare_takeover(struct ladder *ladder)
{
	enum reuse reuse = ladder->manager.reuse;

	if (ladder->adopted || reuse == REUSE_NOTHING)
		settings_put_in_charge(ladder->shared.settings, ladder->tracer.generation);
	if (reuse == REUSE_NOTHING && !ladder->adopted)
		settings_set_layout(ladder->shared.settings);
	if (reuse == REUSE_SETTINGS)
		settings_set_seeded(ladder->shared.settings, false);
	if (reuse >= REUSE_STATE)
		settings_set_takeover(ladder->shared.settings, ladder->tracer.generation);
}

static enum step_result step_settings(struct ladder *ladder, struct report *report)
{
	const struct msg_config *config = ladder->config;
	uint32_t absent;
	int err = settings_open(&ladder->shared, ladder->tracer.maps[TRACER_SETTINGS],
				ladder->tracer.maps[TRACER_HITS],
				ladder->tracer.maps[TRACER_COUNTERS]);

	if (err) {
		steps_say(report, "maps settings, hits and counters: %s", strerror(-err));
		return STEP_FAILED;
	}
	settings_apply(&ladder->shared, &config->config, config->version, ladder->cgroups_fd);
	prepare_takeover(ladder);
	absent = settings_find_cgroups(&ladder->shared, &config->config, ladder->cgroups_fd);
	steps_say(report, "configuration %u, %u filters", config->version,
		  config->config.filter_count);
	if (absent)
		steps_say(report,
			  "configuration %u, %u filters, %u of them of a cgroup that is not %s",
			  config->version, config->config.filter_count, absent,
			  ladder->cgroups_fd < 0 ? "there: no cgroup (v2) tree is mounted"
						 : "there yet");
	return STEP_OK;
}

static enum step_result step_attach(struct ladder *ladder, struct report *report)
{
	int left_out;

	if (ladder->adopted)
		return skip_adopted(report);
	left_out = attach_links(&ladder->manager, &ladder->tracer, report->detail,
				sizeof(report->detail));
	if (left_out < 0)
		return STEP_FAILED;
	settings_set_attached(ladder->shared.settings, tracer_connect_returns(&ladder->tracer),
			      tracer_traces_udp(&ladder->tracer));
	return left_out ? STEP_DEGRADED : STEP_OK;
}

/* Both are attached: one store, and the new one is in charge. */
static enum step_result step_take_over(struct ladder *ladder, struct report *report)
{
	static const char *const reused[] = {
		[REUSE_NOTHING] = "no map of the tracer before fits",
		[REUSE_SETTINGS] = "of the maps of the tracer before only the settings fit",
		[REUSE_STATE] = "a new ring; all other maps of the tracer before",
		[REUSE_RING] = "with all maps of the tracer before",
	};

	if (ladder->adopted)
		return skip_adopted(report);
	if (!ladder->old.type) {
		steps_say(report, "there was no tracer before");
		return STEP_SKIPPED;
	}
	settings_put_in_charge(ladder->shared.settings, ladder->tracer.generation);
	/* The supervisor's fds keep it attached until it has the new one. */
	tracer_close(&ladder->old);
	steps_say(report, "generation %u: %s", ladder->tracer.generation,
		  reused[ladder->manager.reuse]);
	return ladder->manager.reuse < REUSE_STATE ? STEP_DEGRADED : STEP_OK;
}

/* Nor may what is found take more room than there is. */
static void look_for_room(void *ctx)
{
	struct ladder *ladder = ctx;

	(void)room_look(&ladder->room, &ladder->shared);
}

/* What was open before: attached first, so that nothing can begin in between and be missed. */
static enum step_result step_seed(struct ladder *ladder, struct report *report)
{
	int link = tracer_seed_link(&ladder->tracer);
	struct walk_stats walks = {0};
	int err;

	if (ladder->adopted)
		return skip_adopted(report);
	if (ladder->manager.reuse >= REUSE_STATE) {
		steps_say(report, "known from the tracer before");
		return STEP_SKIPPED;
	}
	if (link < 0) {
		steps_say(report,
			  "connections older than the tracer are not known before they end");
		return STEP_SKIPPED;
	}
	err = walk_run(&link, 1, &walks, look_for_room, ladder);
	settings_set_seeded(ladder->shared.settings, true);
	if (err) {
		steps_say(report, "walk over all files: %s", strerror(-err));
		return STEP_DEGRADED;
	}
	steps_say(report, "walked over the files of all processes");
	return STEP_OK;
}

const struct step steps_tracer[] = {
	{"plan", step_plan, EX_UNAVAILABLE, true, OUTCOME_not_supported},
	{"object", step_object, EX_NOINPUT, true, OUTCOME_object_unreadable},
	{"adopt", step_adopt, EX_OSERR, false, OUTCOME_load_error},
	{"load", step_load, EX_SOFTWARE, true, OUTCOME_load_error},
	{"settings", step_settings, EX_OSERR, false, OUTCOME_load_error},
	{"attach", step_attach, EX_UNAVAILABLE, true, OUTCOME_attach_error},
	{"take over", step_take_over, EX_OSERR, false, OUTCOME_attach_error},
	{"seed", step_seed, EX_OSERR, false, OUTCOME_attach_error},
	{NULL, NULL, 0, false, OUTCOME_load_error},
};
