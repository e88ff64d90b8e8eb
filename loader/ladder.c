/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/ladder.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/privs.h"
#include "loader/attach.h"
#include "loader/handover.h"
#include "loader/nat.h"
#include "loader/sandbox.h"
#include "loader/walk.h"

/* What a step has to say about itself, beside how it ended. */
struct report {
	char detail[MSG_TEXT_MAX];
	enum outcome outcome; /* of the attempt, should this step end it */
};

typedef enum step_result (*step_run)(struct ladder *ladder, struct report *report);

struct step {
	const char *name;
	step_run run;
	int exit_code;        /* when it fails */
	bool permanent;       /* trying again without a change cannot help */
	enum outcome outcome; /* when it fails, unless it says otherwise */
};

static void __attribute__((format(printf, 2, 3)))
say(struct report *report, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->detail, sizeof(report->detail), format, args);
	va_end(args);
}

static enum step_result result_of(int err)
{
	return err ? STEP_FAILED : STEP_OK;
}

static bool tenants_only(const struct ladder *ladder)
{
	return plan_is_fargate(ladder->instance.type);
}

/* --- what does not depend on the tracer --- */

static enum step_result step_privileges(struct ladder *ladder, struct report *report)
{
	uint64_t keep = ladder->config->config.nat ? PRIVS_NAT : 0;

	ladder->raised_ns = loop_now_ns();
	return result_of(sandbox_raise(keep, report->detail, sizeof(report->detail)));
}

/* First of all that takes a while, so that what is kept for it goes first. */
static int open_nat(const struct config *config, struct nat_sockets *sockets, struct report *report)
{
	int err = sandbox_raise_kept(PRIVS_NAT);

	if (err)
		say(report, "lacks cap_net_admin: " PRIVS_LOADER_NAT_SETCAP
			    " on conntrace-loader, then start conntraced again");
	else
		err = nat_open(sockets, config->nat_buffer_bytes, report->detail,
			       sizeof(report->detail));
	return err;
}

/* What can be raised from here on, read back from the process. */
static void say_permitted(struct report *report)
{
	size_t len = strlen(report->detail);
	struct privs now;
	char names[64];

	if (privs_read(&now) < 0)
		return;
	privs_caps_text(now.permitted, names, sizeof(names));
	snprintf(report->detail + len, sizeof(report->detail) - len, "; permitted now: %s", names);
}

static enum step_result step_nat(struct ladder *ladder, struct report *report)
{
	const struct config *config = &ladder->config->config;
	struct nat_sockets sockets = {.events_fd = -1, .dump_fd = -1};
	struct msg_nat msg = {0};
	int fds[2], err, lacking;

	if (!config->nat) {
		say(report, "not asked for (nat)");
		say_permitted(report);
		return STEP_SKIPPED;
	}
	lacking = open_nat(config, &sockets, report);
	err = sandbox_drop_kept();
	if (err)
		say(report, "drop cap_net_admin: %s", strerror(-err));
	msg.netns = lacking ? 0 : sockets.netns;
	fds[0] = sockets.events_fd;
	fds[1] = sockets.dump_fd;
	if (!err) {
		err = child_send(ladder->child, MSG_NAT, &msg, fds, lacking ? 0 : 2);
		if (err)
			say(report, "send the sockets: %s", strerror(-err));
	}
	nat_close(&sockets);
	if (err)
		return STEP_FAILED;
	if (lacking) {
		log_warning("nat: %s", report->detail);
		return STEP_DEGRADED;
	}
	say(report, "conntrack events and a dump, of network namespace %u", msg.netns);
	say_permitted(report);
	return STEP_OK;
}

static enum step_result step_instance(struct ladder *ladder, struct report *report)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int err;

	instance_detect(ladder->env, root, ladder->config->config.instance, &ladder->instance);
	if (root >= 0)
		close(root);
	err = manager_host_read(&ladder->host, tenants_only(ladder));
	if (err) {
		say(report, "own pid namespace: %s", strerror(-err));
		return STEP_FAILED;
	}
	say(report, "%s: %s; tenant filter %s", instance_name(ladder->instance.type),
	    ladder->instance.evidence, tenants_only(ladder) ? "on" : "off");
	return STEP_OK;
}

static enum step_result step_btf(struct ladder *ladder, struct report *report)
{
	int err = btf_find(&ladder->btf, ladder->config->config.btf_path, ladder->objects_fd,
			   report->detail, sizeof(report->detail));

	if (err == -EPERM)
		report->outcome = OUTCOME_object_not_trusted;
	else if (err && ladder->config->config.btf_path[0])
		report->outcome = OUTCOME_object_unreadable;
	return result_of(err);
}

static const char *trial(const struct features *features, enum feature feature)
{
	int32_t err = features->of[feature];

	return err == FEATURE_UNKNOWN ? "untried" : err ? "refused" : "yes";
}

static enum step_result step_features(struct ladder *ladder, struct report *report)
{
	static const char *const lockdown[] = {"none", "integrity", "confidentiality"};
	const struct features *f = &ladder->features;
	int32_t level;

	features_probe(&ladder->features, ladder->btf.kernel, true);
	level = f->of[FEATURE_lockdown];
	say(report,
	    "tp_btf %s, fentry %s, kprobe %s (%s), perf events %s, socket storage %s, lockdown %s",
	    trial(f, FEATURE_try_tracepoint), trial(f, FEATURE_try_fentry),
	    trial(f, FEATURE_try_kprobe),
	    f->of[FEATURE_kprobe_multi] ? "multi"
	    : f->of[FEATURE_kprobe_pmu] ? "pmu"
					: "no way to attach",
	    trial(f, FEATURE_try_perf), f->of[FEATURE_socket_storage] ? "yes" : "no",
	    level >= 0 ? lockdown[level] : "unknown");
	return STEP_OK;
}

static const struct step common_steps[] = {
	{"privileges", step_privileges, EX_NOPERM, true, OUTCOME_load_error},
	{"nat", step_nat, EX_OSERR, false, OUTCOME_load_error},
	{"instance", step_instance, EX_OSERR, false, OUTCOME_load_error},
	{"btf", step_btf, EX_UNAVAILABLE, true, OUTCOME_no_btf},
	{"features", step_features, EX_OSERR, false, OUTCOME_load_error},
};

/* --- one tracer --- */

static enum step_result step_plan(struct ladder *ladder, struct report *report)
{
	const struct config *config = &ladder->config->config;
	struct manager_options options;
	enum plan_result result =
		plan_make(&ladder->plan, ladder->plan.tracer, config->tracer != TRACER_AUTO,
			  ladder->instance.type, &ladder->features);

	say(report, "%s", ladder->plan.why);
	if (result == PLAN_NOT_SUPPORTED || result == PLAN_HOOK_MISSING) {
		report->outcome =
			result == PLAN_HOOK_MISSING ? OUTCOME_hook_missing : OUTCOME_not_supported;
		return STEP_NOT_SUPPORTED;
	}
	options = manager_options_make(&ladder->plan, config, &ladder->features, &ladder->host);
	manager_init(&ladder->manager, &options);
	if (result == PLAN_DEGRADED)
		return STEP_DEGRADED;
	say(report, "connections remembered in %s, ring %u KiB",
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
	say(report, "%s, %zu bytes, identity %016llx", name, ladder->object.len,
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
		say(report, "nothing was handed down");
		return STEP_SKIPPED;
	}
	/* Its maps have the same names whichever tracer it is. */
	tracer_take(&ladder->old, options->type, options->plan.store, inherited);
	ladder->adopted = ladder->old.identity == ladder->object.identity &&
			  handover_check(&ladder->manager, &ladder->old, why, sizeof(why)) == 0;
	if (!ladder->adopted) {
		say(report, "what was handed down is replaced: %s", why);
		manager_init(&ladder->manager, &again);
		return STEP_SKIPPED;
	}
	ladder->tracer = ladder->old;
	tracer_init(&ladder->old);
	say(report, "the fds of an earlier loader, probes never detached");
	return STEP_OK;
}

static enum step_result skip_adopted(struct report *report)
{
	say(report, "adopted");
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
		say(report, "maps settings, hits and counters: %s", strerror(-err));
		return STEP_FAILED;
	}
	settings_apply(&ladder->shared, &config->config, config->version, ladder->cgroups_fd);
	prepare_takeover(ladder);
	absent = settings_find_cgroups(&ladder->shared, &config->config, ladder->cgroups_fd);
	say(report, "configuration %u, %u filters", config->version, config->config.filter_count);
	if (absent)
		say(report, "configuration %u, %u filters, %u of them of a cgroup that is not %s",
		    config->version, config->config.filter_count, absent,
		    ladder->cgroups_fd < 0 ? "there: no cgroup (v2) tree is mounted" : "there yet");
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
		say(report, "there was no tracer before");
		return STEP_SKIPPED;
	}
	settings_put_in_charge(ladder->shared.settings, ladder->tracer.generation);
	/* The supervisor's fds keep it attached until it has the new one. */
	tracer_close(&ladder->old);
	say(report, "generation %u: %s", ladder->tracer.generation, reused[ladder->manager.reuse]);
	return ladder->manager.reuse < REUSE_STATE ? STEP_DEGRADED : STEP_OK;
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
		say(report, "known from the tracer before");
		return STEP_SKIPPED;
	}
	if (link < 0) {
		say(report, "connections older than the tracer are not known before they end");
		return STEP_SKIPPED;
	}
	err = walk_run(&link, 1, &walks);
	settings_set_seeded(ladder->shared.settings, true);
	if (err) {
		say(report, "walk over all files: %s", strerror(-err));
		return STEP_DEGRADED;
	}
	say(report, "walked over the files of all processes");
	return STEP_OK;
}

static const struct step tracer_steps[] = {
	{"plan", step_plan, EX_UNAVAILABLE, true, OUTCOME_not_supported},
	{"object", step_object, EX_NOINPUT, true, OUTCOME_object_unreadable},
	{"adopt", step_adopt, EX_OSERR, false, OUTCOME_load_error},
	{"load", step_load, EX_SOFTWARE, true, OUTCOME_load_error},
	{"settings", step_settings, EX_OSERR, false, OUTCOME_load_error},
	{"attach", step_attach, EX_UNAVAILABLE, true, OUTCOME_attach_error},
	{"take over", step_take_over, EX_OSERR, false, OUTCOME_attach_error},
	{"seed", step_seed, EX_OSERR, false, OUTCOME_attach_error},
};

/* --- once it is up --- */

static enum step_result step_hand_over(struct ladder *ladder, struct report *report)
{
	struct msg_loaded loaded = {.adopted = ladder->adopted,
				    .ring_kept =
					    ladder->adopted || ladder->manager.reuse == REUSE_RING};
	int fds[PROTO_FDS_MAX];
	int err;

	tracer_manifest(&ladder->tracer, &loaded.manifest, fds);
	err = child_send(ladder->child, MSG_LOADED, &loaded, fds, loaded.manifest.fd_count);
	if (err)
		say(report, "send %u fds: %s", loaded.manifest.fd_count, strerror(-err));
	else
		say(report, "%u fds", loaded.manifest.fd_count);
	return result_of(err);
}

static enum step_result step_drop(struct ladder *ladder, struct report *report)
{
	char names[64];
	uint64_t left;
	int err = sandbox_drop(tracer_walk_link(&ladder->tracer), &left);

	if (err) {
		say(report, "drop capabilities: %s", strerror(-err));
		return STEP_FAILED;
	}
	if (!left)
		ladder->dropped_ns = loop_now_ns();
	privs_caps_text(left, names, sizeof(names));
	say(report, "capabilities left: %s", names);
	return STEP_OK;
}

static enum step_result step_sandbox(struct ladder *ladder, struct report *report)
{
	int abi;
	int err = sandbox_enter(&abi);

	(void)ladder;
	if (err) {
		say(report, "landlock, seccomp: %s", strerror(-err));
		return STEP_FAILED;
	}
	if (abi) {
		say(report, "seccomp, landlock abi %d", abi);
		return STEP_OK;
	}
	say(report, "seccomp; this kernel has no landlock");
	return STEP_DEGRADED;
}

static const struct step last_steps[] = {
	{"hand over", step_hand_over, EX_OSERR, false, OUTCOME_load_error},
	{"drop", step_drop, EX_NOPERM, true, OUTCOME_load_error},
	{"sandbox", step_sandbox, EX_OSERR, true, OUTCOME_load_error},
};

/* --- climbing --- */

static const char *tracer_name(enum config_tracer tracer)
{
	return tracer == TRACER_AUTO ? "-" : tracer_type(tracer)->name;
}

static int tell_outcome(struct ladder *ladder, enum config_tracer tracer, enum outcome outcome)
{
	struct msg_outcome msg = {.tracer = tracer, .outcome = outcome};

	return child_send(ladder->child, MSG_OUTCOME, &msg, NULL, 0);
}

/* A step that failed or is not supported ends the attempt; only a failure ends the climb. */
static enum step_result climb(struct ladder *ladder, enum config_tracer tracer,
			      const struct step *step)
{
	struct report report = {.outcome = step->outcome};
	struct msg_step msg = {0};
	uint64_t begin_ns = loop_now_ns();
	int err;

	snprintf(msg.tracer, sizeof(msg.tracer), "%s", tracer_name(tracer));
	msg.result = step->run(ladder, &report);
	msg.duration_us = (loop_now_ns() - begin_ns) / 1000;
	snprintf(msg.name, sizeof(msg.name), "%s", step->name);
	snprintf(msg.detail, sizeof(msg.detail), "%s", report.detail);
	err = child_send(ladder->child, MSG_STEP, &msg, NULL, 0);
	if (!err && (msg.result == STEP_FAILED || msg.result == STEP_NOT_SUPPORTED))
		err = tell_outcome(ladder, tracer, report.outcome);
	if (msg.result == STEP_FAILED)
		child_fail(ladder->child, step->permanent, step->exit_code, "%s: %s: %s",
			   msg.tracer, step->name, report.detail);
	else if (err)
		child_fail(ladder->child, 0, EX_PROTOCOL, "report step %s: %s", step->name,
			   strerror(-err));
	return err ? STEP_FAILED : (enum step_result)msg.result;
}

static enum step_result climb_all(struct ladder *ladder, enum config_tracer tracer,
				  const struct step *steps, size_t count)
{
	enum step_result result = STEP_OK;

	for (size_t i = 0; i < count && result != STEP_FAILED && result != STEP_NOT_SUPPORTED; i++)
		result = climb(ladder, tracer, &steps[i]);
	return result;
}

#define CLIMB(ladder, tracer, steps) \
	climb_all(ladder, tracer, steps, sizeof(steps) / sizeof((steps)[0]))

static enum outcome success(const struct ladder *ladder)
{
	static const enum outcome by_source[] = {
		[BTF_NAMED] = OUTCOME_ok_named_btf,
		[BTF_KERNEL] = OUTCOME_ok_kernel_btf,
		[BTF_ARCHIVE] = OUTCOME_ok_archive_btf,
	};

	return ladder->adopted ? OUTCOME_adopted : by_source[ladder->btf.source];
}

/* The reasons of those that were tried, for the one line that the supervisor's log ends with. */
static void not_supported(struct ladder *ladder, const struct plan_order *order, const char *whys)
{
	if (order->count == 1)
		child_fail(ladder->child, 1, EX_UNAVAILABLE, "%s", whys);
	else
		child_fail(ladder->child, 1, EX_UNAVAILABLE,
			   "no tracer can run here (conntrace doctor says more): %s", whys);
}

/* The first tracer of the order that comes up; TRACER_AUTO if none does. */
static enum config_tracer bring_up(struct ladder *ladder)
{
	struct plan_order order;
	char whys[2 * MSG_TEXT_MAX] = "";
	size_t at = 0;

	plan_order(&order, ladder->config->config.tracer, ladder->instance.type);
	for (uint32_t i = 0; i < order.count; i++) {
		enum config_tracer tracer = order.tracers[i];
		enum step_result result;

		ladder->plan.tracer = tracer;
		result = CLIMB(ladder, tracer, tracer_steps);
		object_close(&ladder->object);
		if (result == STEP_FAILED)
			return TRACER_AUTO;
		if (result != STEP_NOT_SUPPORTED)
			return tracer;
		if (at < sizeof(whys))
			at += (size_t)snprintf(whys + at, sizeof(whys) - at, "%s%s: plan: %.140s",
					       at ? "; " : "", tracer_name(tracer),
					       ladder->plan.why);
	}
	not_supported(ladder, &order, whys);
	return TRACER_AUTO;
}

static bool finish(struct ladder *ladder, enum config_tracer tracer)
{
	struct msg_tracer report;
	int err = tell_outcome(ladder, tracer, success(ladder));

	if (!err) {
		ladder_report(ladder, &report);
		err = child_send(ladder->child, MSG_TRACER, &report, NULL, 0);
	}
	if (err) {
		child_fail(ladder->child, 0, EX_PROTOCOL, "report the tracer: %s", strerror(-err));
		return false;
	}
	return CLIMB(ladder, tracer, last_steps) != STEP_FAILED;
}

int ladder_climb(struct ladder *ladder)
{
	enum config_tracer tracer = TRACER_AUTO;
	bool up = false;

	tracer_init(&ladder->old);
	tracer_init(&ladder->tracer);
	ladder->btf.fd = -1;
	if (CLIMB(ladder, TRACER_AUTO, common_steps) != STEP_FAILED)
		tracer = bring_up(ladder);
	/* What libbpf took goes back to the system before the walk begins. */
	btf_drop(&ladder->btf);
	tracer_close(&ladder->old);
	tracer_disinherit(&ladder->inherited);
	(void)malloc_trim(0);
	if (tracer != TRACER_AUTO)
		up = finish(ladder, tracer);
	return up ? 0 : -ECANCELED;
}

uint64_t ladder_privileged_us(const struct ladder *ladder)
{
	uint64_t until_ns = ladder->dropped_ns ? ladder->dropped_ns : loop_now_ns();

	return ladder->raised_ns ? (until_ns - ladder->raised_ns) / 1000 : 0;
}

void ladder_report(const struct ladder *ladder, struct msg_tracer *report)
{
	manager_report(&ladder->manager, &ladder->tracer, report);
	report->instance = ladder->instance.type;
	snprintf(report->evidence, sizeof(report->evidence), "%s", ladder->instance.evidence);
	report->tenants_only = tenants_only(ladder);
	snprintf(report->btf, sizeof(report->btf), "%s", btf_source_name(ladder->btf.source));
}
