/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define SEND_WAIT_US 200000

static uint32_t watchdog_interval(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	unsigned long long usec = text ? strtoull(text, NULL, 10) : 0;

	/* sd_watchdog_enabled(3): half of the time is recommended. */
	return usec / 2000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(usec / 2000);
}

int notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	const struct timeval patience = {.tv_usec = SEND_WAIT_US};

	*notify = (struct notify){.fd = -1};
	if (!len)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(notify->addr.sun_path))
		return -EINVAL;
	notify->addr.sun_family = AF_UNIX;
	memcpy(notify->addr.sun_path, path, len);
	if (path[0] == '@')
		notify->addr.sun_path[0] = '\0';
	notify->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify->fd < 0 ||
	    setsockopt(notify->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	notify->watchdog_ms = watchdog_interval();
	return 0;
}

void notify_send(const struct notify *notify, const char *state)
{
	if (notify->fd >= 0)
		(void)sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			     (const struct sockaddr *)&notify->addr, notify->addr_len);
}

int notify_store(const struct notify *notify, const char *state, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec text = {(void *)(uintptr_t)state, strlen(state)};
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)&notify->addr,
			     .msg_namelen = notify->addr_len,
			     .msg_iov = &text,
			     .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						  .cmsg_type = SCM_RIGHTS,
						  .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(notify->fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
