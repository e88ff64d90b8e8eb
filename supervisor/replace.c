/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/replace.h"

#include <string.h>

#include "supervisor/children.h"

static bool loader_differs(const struct config *a, const struct config *b)
{
	return a->tracer != b->tracer || a->nat != b->nat || a->instance != b->instance ||
	       a->families != b->families || a->record_open != b->record_open ||
	       a->snapshot_interval_ms != b->snapshot_interval_ms ||
	       a->ring_bytes != b->ring_bytes || a->conn_max != b->conn_max ||
	       a->flow_max != b->flow_max || a->filter_count != b->filter_count ||
	       memcmp(a->filters, b->filters, sizeof(a->filters)) != 0 ||
	       strcmp(a->btf_path, b->btf_path) != 0;
}

static bool exporter_differs(const struct config *a, const struct config *b)
{
	return a->output_format != b->output_format || a->live_max != b->live_max ||
	       a->nat != b->nat || strcmp(a->output_path, b->output_path) != 0;
}

static bool poller_differs(const struct config *a, const struct config *b)
{
	return a->poll_interval_ms != b->poll_interval_ms ||
	       strcmp(a->source_dir, b->source_dir) != 0;
}

bool replace_is_due(const struct config *a, const struct config *b)
{
	return loader_differs(a, b) || exporter_differs(a, b) || poller_differs(a, b);
}

void replace_children(struct supervisor *sup, const struct config *old, bool all)
{
	const struct config *new = &sup->configure.current.config;
	struct proc *poller = &sup->procs[ROLE_POLLER];

	if (all || loader_differs(old, new))
		children_event(&sup->procs[ROLE_LOADER], LIFE_REPLACE);
	/* A ring of another size comes with a new tracer: the exporter is replaced when it is
	 * there. */
	if (sup->up && old->ring_bytes == new->ring_bytes && (all || exporter_differs(old, new)))
		children_event(&sup->procs[ROLE_EXPORTER], LIFE_REPLACE);
	/* It begins when tracing does. */
	if (!sup->up && poller->life.state == LIFE_IDLE)
		return;
	if (!new->source_dir[0])
		children_event(poller, LIFE_STOP);
	else if (all || poller_differs(old, new))
		children_event(poller, LIFE_REPLACE);
}
