/* SPDX-License-Identifier: Apache-2.0 */
#include "common/proto.h"

#include <stddef.h>

static const struct proto_row rows[MSG_TYPE_COUNT] = {
#define X(upper, lower, from, to, phases, fds_min, fds_max, frame_max, meaning) \
	[MSG_##upper] = {#upper, meaning, from, to, phases, fds_min, fds_max, frame_max},
	PROTO_MESSAGES(X)
#undef X
};

static const char *const role_names[ROLE_COUNT] = {
	[ROLE_SUPERVISOR] = "supervisor", [ROLE_LOADER] = "loader",
	[ROLE_EXPORTER] = "exporter",     [ROLE_POLLER] = "poller",
	[ROLE_VERIFIER] = "verifier",     [ROLE_CLI] = "cli",
};

static const char *const phase_names[PHASE_COUNT] = {
	[PHASE_STARTING] = "starting",
	[PHASE_READY] = "ready",
	[PHASE_RUNNING] = "running",
};

const struct proto_row *proto_row(uint64_t type)
{
	return type > MSG_NONE && type < MSG_TYPE_COUNT ? &rows[type] : NULL;
}

const char *proto_role_name(uint64_t role)
{
	return role < ROLE_COUNT ? role_names[role] : "unknown";
}

const char *proto_phase_name(uint64_t phase)
{
	return phase < PHASE_COUNT ? phase_names[phase] : "unknown";
}
