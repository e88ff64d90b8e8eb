/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a process: /proc/PID/status. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* In the order in which they are shown. */
enum process_set {
	PROCESS_PERMITTED,
	PROCESS_EFFECTIVE,
	PROCESS_INHERITABLE,
	PROCESS_AMBIENT,
	PROCESS_BOUNDING,
	PROCESS_SET_COUNT,
};

struct process_facts {
	uint32_t uid; /* effective */
	uint64_t caps[PROCESS_SET_COUNT];
	bool no_new_privs;
	uint32_t seccomp; /* 0 none, 1 strict, 2 filter */
	uint64_t rss_kb;
};

/* Returns 0, or a negative errno if it can't be read (-ESRCH: no such process). */
int process_read(uint32_t pid, struct process_facts *facts);

/* Parse the text of a status file. Returns 0, or -EPROTO if something is missing. */
int process_parse(const char *text, struct process_facts *facts);

/* "permitted", ... */
const char *process_set_name(enum process_set set);

#endif
