/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/network.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poller/source.h"

#define HTTP_PORT  80u
#define HTTPS_PORT 443u
#define DNS_PORT   53u

int network_add_room(const char *path, struct sandbox_needs *needs, char *why, size_t cap)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0) {
		snprintf(why, cap, "source: %.200s", path);
		return -errno;
	}
	if (needs->room_count == SANDBOX_ROOMS_MAX)
		return -ENOSPC;
	needs->rooms[needs->room_count++].fd = fd;
	return 0;
}

static void add_port(struct sandbox_needs *needs, uint16_t port)
{
	if (needs->port_count < SANDBOX_PORTS_MAX)
		needs->ports[needs->port_count++] = port;
}
_Static_assert(SANDBOX_PORTS_MAX >= 4, "network: of a source, and of reports, with that of DNS");

/* Names are looked up by files of /etc, which may be replaced at any time; one of them may be a
   link to where a service keeps it. */
static int add_names(struct sandbox_needs *needs, char *why, size_t cap)
{
	char *resolver = realpath("/etc/resolv.conf", NULL);
	char *slash = resolver ? strrchr(resolver, '/') : NULL;
	int err = network_add_room("/etc", needs, why, cap);

	if (!err && slash && slash != resolver && strncmp(resolver, "/etc/", 5) != 0) {
		*slash = '\0';
		err = network_add_room(resolver, needs, why, cap);
	}
	free(resolver);
	return err;
}

int network_need(const char *url, const char *ca, struct sandbox_needs *needs, char *why,
		 size_t cap)
{
	int err;

	needs->network = true;
	if (strncmp(url, "https://", 8) != 0) {
		add_port(needs, source_port(url, HTTP_PORT));
		return 0;
	}
	err = add_names(needs, why, cap);
	if (!err && ca[0])
		err = network_add_room(ca, needs, why, cap);
	add_port(needs, source_port(url, HTTPS_PORT));
	add_port(needs, DNS_PORT);
	return err;
}
