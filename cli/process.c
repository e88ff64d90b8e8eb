/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The value behind "\nLABEL:", NULL if there is no such line. */
static const char *value_of(const char *text, const char *label)
{
	char line[32];
	const char *at;

	snprintf(line, sizeof(line), "\n%s:", label);
	at = strstr(text, line);
	return at ? at + strlen(line) : NULL;
}

static bool number_of(const char *text, const char *label, int base, uint64_t *number)
{
	const char *at = value_of(text, label);
	char *end;

	if (!at)
		return false;
	*number = strtoull(at, &end, base);
	return end != at;
}

int process_parse(const char *text, struct process_facts *facts)
{
	static const char *const labels[PROCESS_SET_COUNT] = {
		[PROCESS_PERMITTED] = "CapPrm",   [PROCESS_EFFECTIVE] = "CapEff",
		[PROCESS_INHERITABLE] = "CapInh", [PROCESS_AMBIENT] = "CapAmb",
		[PROCESS_BOUNDING] = "CapBnd",
	};
	const char *uids = value_of(text, "Uid");
	uint64_t no_new_privs, seccomp = 0;
	unsigned long effective;
	char *end = NULL;

	memset(facts, 0, sizeof(*facts));
	/* Real, effective, saved, file system: the second one counts. */
	if (!uids)
		return -EPROTO;
	(void)strtoul(uids, &end, 10);
	uids = end;
	effective = strtoul(uids, &end, 10);
	if (end == uids || effective > UINT32_MAX)
		return -EPROTO;
	for (int i = 0; i < PROCESS_SET_COUNT; i++)
		if (!number_of(text, labels[i], 16, &facts->caps[i]))
			return -EPROTO;
	if (!number_of(text, "NoNewPrivs", 10, &no_new_privs))
		return -EPROTO;
	/* A kernel without seccomp has no such line, a process that is ending no memory. */
	(void)number_of(text, "Seccomp", 10, &seccomp);
	(void)number_of(text, "VmRSS", 10, &facts->rss_kb);
	facts->uid = (uint32_t)effective;
	facts->no_new_privs = no_new_privs == 1;
	facts->seccomp = (uint32_t)seccomp;
	return 0;
}

int process_read(uint32_t pid, struct process_facts *facts)
{
	char path[32], text[8192];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -ESRCH;
	text[len] = '\0';
	return process_parse(text, facts);
}

const char *process_set_name(enum process_set set)
{
	static const char *const names[PROCESS_SET_COUNT] = {
		[PROCESS_PERMITTED] = "permitted",     [PROCESS_EFFECTIVE] = "effective",
		[PROCESS_INHERITABLE] = "inheritable", [PROCESS_AMBIENT] = "ambient",
		[PROCESS_BOUNDING] = "bounding",
	};

	return names[set];
}
