/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/spawn.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* A decimal number and nothing else; -1 if it isn't. */
static long number(const char *text, const char **end)
{
	char *after;
	long value;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &after, 10);
	*end = after;
	return errno ? -1 : value;
}

static long whole_number(const char *text)
{
	const char *end;
	long value = number(text, &end);

	return *text && value >= 0 && !*end ? value : -1;
}

/* Copies a name of that length; one that is too long becomes "", which is nobody's. */
static void name_fd(struct inherited_fd *fd, const char *name, size_t len)
{
	snprintf(fd->name, sizeof(fd->name), "%.*s", len < sizeof(fd->name) ? (int)len : 0, name);
}

static int parse_names(const char *names, struct inherited *inherited)
{
	for (uint32_t i = 0; i < inherited->count; i++) {
		size_t len = strcspn(names, ":");
		bool last = i + 1 == inherited->count;

		if (names[len] != (last ? '\0' : ':'))
			return -EINVAL;
		name_fd(&inherited->fds[i], names, len);
		names += len + !last;
	}
	return 0;
}

int inherit_parse_store(const char *pid_text, const char *count_text, const char *names, pid_t pid,
			struct inherited *inherited, int *last)
{
	long count;

	*inherited = (struct inherited){.count = 0};
	*last = FIRST_FD - 1;
	if (!pid_text || !count_text || whole_number(pid_text) != pid)
		return 0;
	count = whole_number(count_text);
	if (count < 0)
		return -EINVAL;
	if (count > INT32_MAX - FIRST_FD)
		return -E2BIG;
	*last = FIRST_FD - 1 + (int)count;
	if (count > INHERIT_MAX)
		return -E2BIG;
	if (!count)
		return 0;
	inherited->count = (uint32_t)count;
	for (uint32_t i = 0; i < inherited->count; i++)
		inherited->fds[i].fd = FIRST_FD + (int)i;
	if (names && parse_names(names, inherited) == 0)
		return 0;
	inherited->count = 0;
	return -EINVAL;
}

static bool has_fd(const struct inherited *inherited, long fd)
{
	for (uint32_t i = 0; i < inherited->count; i++)
		if (inherited->fds[i].fd == fd)
			return true;
	return false;
}

/* One "NUMBER:NAME"; returns what is behind it, NULL if it is none. */
static const char *parse_carried_one(const char *text, struct inherited *inherited)
{
	struct inherited_fd *fd = &inherited->fds[inherited->count];
	const char *end = text;
	long value = number(text, &end);
	size_t len;

	if (value < FIRST_FD || value > INT32_MAX || *end != ':' || has_fd(inherited, value))
		return NULL;
	len = strcspn(++end, ",");
	if (!len || len >= sizeof(fd->name))
		return NULL;
	fd->fd = (int)value;
	name_fd(fd, end, len);
	inherited->count++;
	return end + len;
}

int inherit_parse_carried(const char *text, struct inherited *inherited)
{
	*inherited = (struct inherited){.count = 0};
	while (text && inherited->count < INHERIT_MAX) {
		text = parse_carried_one(text, inherited);
		if (text && !*text)
			return 0;
		if (text)
			text++;
	}
	inherited->count = 0;
	return -EINVAL;
}

/* Out of the children's way and not for them; an fd that isn't open is dropped. */
static void secure(struct inherited *inherited)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < inherited->count; i++) {
		struct inherited_fd *fd = &inherited->fds[i];

		fd->fd = fcntl(fd->fd, F_GETFD) < 0 ? -1 : spawn_move_fd(fd->fd);
		if (fd->fd < 0)
			log_warning("fd %.39s, left to this process: is not open", fd->name);
		else
			inherited->fds[kept++] = *fd;
	}
	inherited->count = kept;
}

static void take_stored(struct inherited *inherited)
{
	int last;
	int err = inherit_parse_store(getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
				      getenv("LISTEN_FDNAMES"), getpid(), inherited, &last);

	if (err) {
		log_warning("fds of the service manager: LISTEN_FDS, LISTEN_FDNAMES: %s: closed",
			    strerror(-err));
		if (last >= FIRST_FD)
			(void)close_range(FIRST_FD, (unsigned int)last, 0);
	}
	secure(inherited);
}

void inherit_take(struct inherited *inherited, bool with_carried)
{
	const char *carried = getenv(INHERIT_VARIABLE);

	if (carried && with_carried && inherit_parse_carried(carried, inherited) == 0) {
		secure(inherited);
	} else {
		if (carried)
			log_warning("%s in the environment is not of a conntraced: ignored",
				    INHERIT_VARIABLE);
		take_stored(inherited);
	}
	unsetenv(INHERIT_VARIABLE);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int inherit_fd(struct inherited *inherited, const char *name)
{
	for (uint32_t i = 0; i < inherited->count; i++) {
		int fd = inherited->fds[i].fd;

		if (fd < 0 || strcmp(inherited->fds[i].name, name) != 0)
			continue;
		inherited->fds[i].fd = -1;
		return fd;
	}
	return -1;
}

void inherit_close(struct inherited *inherited)
{
	for (uint32_t i = 0; i < inherited->count; i++)
		if (inherited->fds[i].fd >= 0)
			close(inherited->fds[i].fd);
	inherited->count = 0;
}

/* --- the other way --- */

int inherit_add(struct inherited *list, const char *name, int fd)
{
	struct inherited_fd *to = &list->fds[list->count];

	if (list->count == INHERIT_MAX || fd < 0)
		return -ENOSPC;
	to->fd = fd;
	name_fd(to, name, strlen(name));
	list->count++;
	return 0;
}

int inherit_text(const struct inherited *list, char *text, size_t cap)
{
	size_t at = 0;

	for (uint32_t i = 0; i < list->count && at < cap; i++)
		at += (size_t)snprintf(text + at, cap - at, "%s%d:%s", i ? "," : "",
				       list->fds[i].fd, list->fds[i].name);
	return at < cap ? 0 : -ENOSPC;
}

int inherit_pass(const struct inherited *list, bool on)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (fcntl(list->fds[i].fd, F_SETFD, on ? 0 : FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}
