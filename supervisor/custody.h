/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the tracer's map and link fds: a probe stays attached, and the ring goes on filling,
 * while one fd to it is open anywhere.
 */
#ifndef SUPERVISOR_CUSTODY_H
#define SUPERVISOR_CUSTODY_H

#include "supervisor/supervisor.h"

/* Empty custody. */
void custody_init(struct custody *custody);

/*
 * Take over the fds that came with a LOADED message. Checked: each is a BPF object of the kernel
 * (not a file that could be pulled from under a mapping), and what tracing needs is all there.
 * What was kept before is closed. Returns 0, or -EPROTO and nothing changed.
 */
int custody_take(struct custody *custody, const struct msg_manifest *manifest,
		 struct dispatch_fds *fds);

/* True if there are fds in custody. */
bool custody_holds(const struct custody *custody);

/* The fd of that kind, -1 if there is none; stays in custody. */
int custody_fd(const struct custody *custody, enum fd_kind kind);

/* Close the links: the probes detach unless somebody else holds them. Maps stay. */
void custody_detach(struct custody *custody);

/* Close everything. */
void custody_release(struct custody *custody);

/* Sum the kernel's counters over the CPUs into out, in the order of COUNTERS; zeroes if none. */
void custody_counters(const struct custody *custody, uint64_t out[MSG_COUNTERS]);

/* The exporter's ledger, in the order of LEDGER; zeroes if none. */
void custody_ledger(const struct custody *custody, uint64_t out[MSG_LEDGER]);

/*
 * What the filters of the configuration with this version did, and the ids of the cgroups that they
 * name, as in struct msg_summary. Returns false, with zeroes, while another one is in force yet.
 */
bool custody_filters(const struct custody *custody, uint32_t version, uint64_t hits[MSG_HITS],
		     uint64_t cgroups[FILTERS_MAX]);

/* What helpers and maps refused, as far as it fits; returns how many. */
uint32_t custody_refusals(const struct custody *custody, struct msg_refusal out[MSG_REFUSALS_MAX]);

#endif
