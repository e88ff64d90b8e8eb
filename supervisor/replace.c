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

static bool groups_differ(const struct config_source *a, const struct config_source *b)
{
	bool differ = a->group_count != b->group_count;

	for (uint32_t i = 0; i < a->group_count && !differ; i++)
		differ = strcmp(a->groups[i].name, b->groups[i].name) != 0;
	return differ;
}

static bool source_differs(const struct config_source *a, const struct config_source *b)
{
	return a->interval_ms != b->interval_ms || strcmp(a->dir, b->dir) != 0 ||
	       strcmp(a->url, b->url) != 0 || strcmp(a->root, b->root) != 0 ||
	       strcmp(a->rc, b->rc) != 0 || strcmp(a->ca, b->ca) != 0 ||
	       strcmp(a->report, b->report) != 0 || strcmp(a->host, b->host) != 0 ||
	       groups_differ(a, b);
}

static bool poller_differs(const struct config *a, const struct config *b)
{
	return source_differs(&a->source, &b->source);
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
	if (!config_polls(new))
		children_event(poller, LIFE_STOP);
	else if (all || poller_differs(old, new))
		children_event(poller, LIFE_REPLACE);
}
