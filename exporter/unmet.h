/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that the kernel side counts as live and that no walk meets: their end was seen by no
 * program, and what was remembered of them went with the socket. Single walks tell nothing, since
 * others begin and end meanwhile; but what is missing from all of the latest walks is gone. Pure.
 */
#ifndef EXPORTER_UNMET_H
#define EXPORTER_UNMET_H

#include <stdbool.h>
#include <stdint.h>

/* So many walks are compared; suspicion is raised at most once in so many. */
#define UNMET_WALKS 4u
#define UNMET_REST  16u

/* Begins as zeroes. */
struct unmet {
	int64_t excess[UNMET_WALKS]; /* of live connections over those met */
	uint32_t walks;              /* seen */
	uint32_t rest;
	uint64_t count; /* the least of the latest walks: these are gone */
	uint64_t known; /* what suspicion was raised for */
};

/*
 * A walk ended that has met so many connections; counted is how many are live by the counters.
 * Returns whether there are more of them than before, now and then also when numbers of live
 * connections just grow.
 */
bool unmet_walk(struct unmet *unmet, uint64_t counted, uint64_t met);

#endif
