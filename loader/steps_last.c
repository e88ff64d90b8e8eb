/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/steps.h"

#include <fcntl.h>
#include <string.h>
#include <sysexits.h>

#include "common/loop.h"
#include "common/privs.h"
#include "loader/sandbox.h"
#include "loader/reuse.h"

static enum step_result result_of(int err)
{
	return err ? STEP_FAILED : STEP_OK;
}

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
		steps_say(report, "send %u fds: %s", loaded.manifest.fd_count, strerror(-err));
	else
		steps_say(report, "%u fds", loaded.manifest.fd_count);
	return result_of(err);
}

static enum step_result step_drop(struct ladder *ladder, struct report *report)
{
	char names[64];
	uint64_t left;
	int err = sandbox_drop(tracer_walk_link(&ladder->tracer), &left);

	if (err) {
		steps_say(report, "drop capabilities: %s", strerror(-err));
		return STEP_FAILED;
	}
	if (!left)
		ladder->dropped_ns = loop_now_ns();
	privs_caps_text(left, names, sizeof(names));
	steps_say(report, "capabilities left: %s", names);
	return STEP_OK;
}

static enum step_result step_sandbox(struct ladder *ladder, struct report *report)
{
	int abi;
	int err = sandbox_enter(&abi);

	(void)ladder;
	if (err) {
		steps_say(report, "landlock, seccomp: %s", strerror(-err));
		return STEP_FAILED;
	}
	if (abi) {
		steps_say(report, "seccomp, landlock abi %d", abi);
		return STEP_OK;
	}
	steps_say(report, "seccomp; this kernel has no landlock");
	return STEP_DEGRADED;
}

const struct step steps_last[] = {
	{"hand over", step_hand_over, EX_OSERR, false, OUTCOME_load_error},
	{"drop", step_drop, EX_NOPERM, true, OUTCOME_load_error},
	{"sandbox", step_sandbox, EX_OSERR, true, OUTCOME_load_error},
	{NULL, NULL, 0, false, OUTCOME_load_error},
};
