/* SPDX-License-Identifier: Apache-2.0 */
#include "common/stats.h"

#include <stddef.h>

#include "common/proto.h"

#define X(name, meaning) #name,
static const char *const loader_names[] = {STATS_LOADER(X)};
static const char *const exporter_names[] = {STATS_EXPORTER(X)};
static const char *const poller_names[] = {STATS_POLLER(X)};
#undef X

_Static_assert(STAT_LOADER_COUNT <= STATS_MAX, "stats: loader");
_Static_assert(STAT_EXPORTER_COUNT <= STATS_MAX, "stats: exporter");
_Static_assert(STAT_POLLER_COUNT <= STATS_MAX, "stats: poller");

static const struct {
	const char *const *names;
	uint32_t count;
} tables[ROLE_COUNT] = {
	[ROLE_LOADER] = {loader_names, STAT_LOADER_COUNT},
	[ROLE_EXPORTER] = {exporter_names, STAT_EXPORTER_COUNT},
	[ROLE_POLLER] = {poller_names, STAT_POLLER_COUNT},
};

uint32_t stats_count(uint32_t role)
{
	return role < ROLE_COUNT ? tables[role].count : 0;
}

const char *stats_name(uint32_t role, uint32_t index)
{
	return index < stats_count(role) ? tables[role].names[index] : NULL;
}
