/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/privs.h"
#include "loader/nat.h"
#include "loader/sandbox.h"

static enum step_result result_of(int err)
{
	return err ? STEP_FAILED : STEP_OK;
}

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
		steps_say(report, "lacks cap_net_admin: " PRIVS_LOADER_NAT_SETCAP
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
		steps_say(report, "not asked for (nat)");
		say_permitted(report);
		return STEP_SKIPPED;
	}
	lacking = open_nat(config, &sockets, report);
	err = sandbox_drop_kept();
	if (err)
		steps_say(report, "drop cap_net_admin: %s", strerror(-err));
	msg.netns = lacking ? 0 : sockets.netns;
	fds[0] = sockets.events_fd;
	fds[1] = sockets.dump_fd;
	if (!err) {
		err = child_send(ladder->child, MSG_NAT, &msg, fds, lacking ? 0 : 2);
		if (err)
			steps_say(report, "send the sockets: %s", strerror(-err));
	}
	nat_close(&sockets);
	if (err)
		return STEP_FAILED;
	if (lacking) {
		log_warning("nat: %s", report->detail);
		return STEP_DEGRADED;
	}
	steps_say(report, "conntrack events and a dump, of network namespace %u", msg.netns);
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
	err = manager_host_read(&ladder->host, steps_tenants_only(ladder));
	if (err) {
		steps_say(report, "own pid namespace: %s", strerror(-err));
		return STEP_FAILED;
	}
	steps_say(report, "%s: %s; tenant filter %s", instance_name(ladder->instance.type),
		  ladder->instance.evidence, steps_tenants_only(ladder) ? "on" : "off");
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
	steps_say(report,
		  "tp_btf %s, fentry %s, kprobe %s (%s), perf events %s, socket storage %s, "
		  "lockdown %s",
		  trial(f, FEATURE_try_tracepoint), trial(f, FEATURE_try_fentry),
		  trial(f, FEATURE_try_kprobe),
		  f->of[FEATURE_kprobe_multi] ? "multi"
		  : f->of[FEATURE_kprobe_pmu] ? "pmu"
					      : "no way to attach",
		  trial(f, FEATURE_try_perf), f->of[FEATURE_socket_storage] ? "yes" : "no",
		  level >= 0 ? lockdown[level] : "unknown");
	return STEP_OK;
}

const struct step steps_first[] = {
	{"privileges", step_privileges, EX_NOPERM, true, OUTCOME_load_error},
	{"nat", step_nat, EX_OSERR, false, OUTCOME_load_error},
	{"instance", step_instance, EX_OSERR, false, OUTCOME_load_error},
	{"btf", step_btf, EX_UNAVAILABLE, true, OUTCOME_no_btf},
	{"features", step_features, EX_OSERR, false, OUTCOME_load_error},
	{NULL, NULL, 0, false, OUTCOME_load_error},
};
