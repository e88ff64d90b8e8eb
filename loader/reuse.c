/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/reuse.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/mman.h>

#include "bpf/event.h"

/* Each map of a tracer, and from where on it is shared. */
static const enum reuse from[TRACER_MAPS] = {
	[TRACER_RING] = REUSE_RING,        [TRACER_COUNTERS] = REUSE_STATE,
	[TRACER_LEDGER] = REUSE_STATE,     [TRACER_SETTINGS] = REUSE_SETTINGS,
	[TRACER_TELEMETRY] = REUSE_STATE,  [TRACER_CONNECTIONS] = REUSE_STATE,
	[TRACER_FLOWS] = REUSE_STATE,      [TRACER_FLOW_SOCKETS] = REUSE_STATE,
	[TRACER_FLOW_WORKS] = REUSE_STATE, [TRACER_WORKS] = REUSE_STATE,
	[TRACER_COOKIES] = REUSE_STATE,    [TRACER_HITS] = REUSE_STATE,
};

static struct bpf_map *map_of(struct bpf_object *obj, const struct tracer *old, int which)
{
	const struct tracer_map_row *row = tracer_map((enum tracer_map)which, old->store);

	return bpf_object__find_map_by_name(obj, row->name);
}

static bool has_shape(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = {.type = 0};
	uint32_t len = sizeof(info);

	return map && fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
	       info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

static bool all_have_shape(struct bpf_object *obj, const struct tracer *old, enum reuse reuse)
{
	for (int i = 0; i < TRACER_MAPS; i++)
		if (from[i] == reuse && !has_shape(map_of(obj, old, i), old->maps[i]))
			return false;
	return true;
}

/* Whether what is in the maps means what it would mean to us. */
static bool is_understood(const struct tracer *old)
{
	const struct settings *settings =
		mmap(NULL, sizeof(*settings), PROT_READ, MAP_SHARED, old->maps[TRACER_SETTINGS], 0);
	bool understood;

	if (settings == MAP_FAILED)
		return false;
	understood = settings->layout == SETTINGS_LAYOUT;
	munmap((void *)(uintptr_t)settings, sizeof(*settings));
	return understood;
}

int reuse_maps(struct bpf_object *obj, const struct tracer *old, enum reuse *reuse)
{
	*reuse = REUSE_NOTHING;
	if (!old->type || !all_have_shape(obj, old, REUSE_SETTINGS) || !is_understood(old))
		return 0;
	*reuse = REUSE_SETTINGS;
	while (*reuse < REUSE_RING && all_have_shape(obj, old, *reuse + 1))
		(*reuse)++;
	for (int i = 0; i < TRACER_MAPS; i++) {
		int err = from[i] <= *reuse ? bpf_map__reuse_fd(map_of(obj, old, i), old->maps[i])
					    : 0;

		if (err)
			return err;
	}
	return 0;
}
