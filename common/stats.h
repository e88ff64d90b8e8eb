/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers that each lasting child reports in STATS, by position: X(name, meaning). */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stdint.h>

#define STATS_MAX 24u

/* clang-format off */
#define STATS_LOADER(X) \
	X(walks, "snapshot walks made") \
	X(walks_failed, "snapshot walks that failed") \
	X(walk_last_us, "duration of the last walk with its pauses, microseconds") \
	X(walk_longest_us, "duration of the longest walk, microseconds") \
	X(walk_busy_us, "CPU time of the last walk, microseconds") \
	X(walk_visits, "sockets and UDP flows visited by the last walk") \
	X(walk_slices, "slices that the last walk was cut into") \
	X(slice_worst_us, "CPU time of the longest slice of these walks, microseconds") \
	X(program_missed, "program runs the kernel skipped (recursion)") \
	X(checks, "walks over all files: for what no program saw begin, and for what has changed") \
	X(check_last_us, "duration of the last of them with its pauses, microseconds") \
	X(check_busy_us, "CPU time of the last of them, microseconds") \
	X(check_visits, "files visited by the last of them") \
	X(check_slice_worst_us, "CPU time of the longest slice of them, microseconds") \
	X(privileged_us, "CAP_BPF was effective in this process, microseconds")
/* clang-format on */

/* clang-format off */
#define STATS_EXPORTER(X) \
	X(records, "records read from the ring by this process") \
	X(live, "live connections in the table") \
	X(walk_live, "live connections at the last complete walk") \
	X(ring_used, "bytes waiting in the ring") \
	X(clients, "command-line clients being served") \
	X(cgroups, "cgroups known, those that are gone included") \
	X(cgroups_evicted, "cgroups forgotten because there was no room for more") \
	X(cgroups_unknown, "lines for which the cgroup was not known") \
	X(cgroup_scans, "listings of the whole cgroup tree") \
	X(nat_connections, "translated connections known, those that have ended included") \
	X(nat_events, "begins and ends of translated connections that were told") \
	X(nat_skipped, "begins that were not noted, too many in their second") \
	X(nat_overruns, "times that the kernel could not tell of some") \
	X(nat_evicted, "forgotten for want of room, though live or with a record to come") \
	X(nat_dumped, "connections in dumps, translated or not") \
	X(nat_dumps_cut, "dumps that failed or took too long")
/* clang-format on */

/* clang-format off */
#define STATS_POLLER(X) \
	X(polls, "looks at the source") \
	X(candidates, "changes found and sent on") \
	X(errors, "polls that failed") \
	X(errors_in_row, "failures since the last success") \
	X(next_poll_ms, "milliseconds to the next poll") \
	X(reports_sent, "reports of what became of configuration that were taken") \
	X(reports_failed, "reports that were not")
/* clang-format on */

#define X(name, meaning) STAT_LOADER_##name,
enum { STATS_LOADER(X) STAT_LOADER_COUNT };
#undef X
#define X(name, meaning) STAT_EXPORTER_##name,
enum { STATS_EXPORTER(X) STAT_EXPORTER_COUNT };
#undef X
#define X(name, meaning) STAT_POLLER_##name,
enum { STATS_POLLER(X) STAT_POLLER_COUNT };
#undef X

/* How many numbers a role reports; 0 for a role that reports none. */
uint32_t stats_count(uint32_t role);

/* The name of a role's number, NULL when there is none. */
const char *stats_name(uint32_t role, uint32_t index);

#endif
