/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs read at run time, in a map both sides have mapped: no bpf(2), no privilege. */
#ifndef LOADER_SETTINGS_H
#define LOADER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/config.h"

/* Map the settings map. The mapping lives as long as the process. Returns 0 or a negative errno. */
int settings_open(int map_fd, struct settings **settings);

/* Put a configuration in force: the slot nobody reads is filled, then made the active one. */
void settings_apply(struct settings *settings, const struct config *config, uint32_t version);

/* Whether what was open before is known: then what is found is unaccounted for. */
void settings_set_seeded(struct settings *settings, bool seeded);

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
