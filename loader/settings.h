/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs read at run time, and count by it, in maps that both sides have mapped: no
 * bpf(2), no privilege.
 */
#ifndef LOADER_SETTINGS_H
#define LOADER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/config.h"

struct settings_maps {
	struct settings *settings;
	struct hits *hits;         /* HITS_SLOTS */
	struct counters *counters; /* COUNTER_SLOTS */
};

/* Map them. They stay mapped as long as the process lives. Returns 0 or a negative errno. */
int settings_open(struct settings_maps *maps, int settings_fd, int hits_fd, int counters_fd);

/*
 * Put a configuration in force: the slot nobody reads is filled and its hits cleared, then it is
 * made the active one. Nothing is done if it is in force already. root_fd is the root of the cgroup
 * tree, where the cgroups that filters name are looked up; -1: there is none.
 */
void settings_apply(struct settings_maps *maps, const struct config *config, uint32_t version,
		    int root_fd);

/*
 * Look up anew the cgroups that the filters of the configuration in force name. Returns how many
 * are not there.
 */
uint32_t settings_find_cgroups(struct settings_maps *maps, const struct config *config,
			       int root_fd);

/* Whether what was open before is known: then what is found is unaccounted for. */
void settings_set_seeded(struct settings *settings, bool seeded);

/* Whether there is room for more in the sockets' storage: enum settings_room. */
void settings_set_room(struct settings *settings, uint32_t room);

/* The maps of this settings map are laid out as this version has them. */
void settings_set_layout(struct settings *settings);

/* The tracer of that generation is in charge from now on. */
void settings_put_in_charge(struct settings *settings, uint32_t generation);

/*
 * The tracer of that generation is about to be attached beside another, with whose maps it works:
 * when this returns every program that begins to run knows. 0: it is alone again.
 */
void settings_set_takeover(struct settings *settings, uint32_t generation);

/* What is attached: the programs that see these functions return (RETURNS_), those of UDP. */
void settings_set_attached(struct settings *settings, uint32_t connect_returns, bool udp);

/*
 * A walk begins: the number its end record carries, and until when (CLOCK_MONOTONIC) it waits while
 * the ring is half full; from then on it leaves updates out.
 */
void settings_set_walk(struct settings *settings, uint64_t walk_id, uint64_t waits_until_ns);

#endif
