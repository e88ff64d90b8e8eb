/* SPDX-License-Identifier: Apache-2.0 */
#include "record/names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "bpf/event.h"

_Static_assert(INET6_ADDRSTRLEN <= NAMES_TEXT_MAX, "names: room for an address");

static const char *const events[] = {
	[EVENT_OPEN] = "open", [EVENT_UPDATE] = "update",     [EVENT_CLOSE] = "close",
	[EVENT_WALK] = "walk", [EVENT_LISTENER] = "listener",
};

static const char *const protocols[] = {[IPPROTO_TCP] = "tcp", [IPPROTO_UDP] = "udp"};

static const char *const directions[] = {
	[DIRECTION_UNKNOWN] = "unknown",
	[DIRECTION_OUTGOING] = "outgoing",
	[DIRECTION_INCOMING] = "incoming",
};

static const char *const owners[] = {
	[OWNER_UNKNOWN] = "unknown", [OWNER_CONNECT] = "connect", [OWNER_LISTEN] = "listen",
	[OWNER_CLOSE] = "close",     [OWNER_ACCEPT] = "accept",   [OWNER_SEEDED] = "seeded",
	[OWNER_SEND] = "send",       [OWNER_RECEIVE] = "receive",
};

/* include/net/tcp_states.h: TCP_ESTABLISHED is 1; 13 came with Linux 6.8. */
static const char *const states[] = {
	NULL,        "established", "syn_sent",     "syn_recv",       "fin_wait1",
	"fin_wait2", "time_wait",   "close",        "close_wait",     "last_ack",
	"listen",    "closing",     "new_syn_recv", "bound_inactive",
};

#define LOOK_UP(table, n) ((n) < sizeof(table) / sizeof((table)[0]) ? (table)[n] : NULL)

const char *names_event(uint32_t type)
{
	return LOOK_UP(events, type);
}

const char *names_protocol(uint32_t number)
{
	return LOOK_UP(protocols, number);
}

const char *names_direction(uint32_t direction)
{
	return LOOK_UP(directions, direction);
}

const char *names_owner(uint32_t owner)
{
	return LOOK_UP(owners, owner);
}

const char *names_state(uint32_t state)
{
	return LOOK_UP(states, state);
}

void names_error(uint32_t error, char *out)
{
	const char *name = strerrorname_np((int)error);

	if (name)
		snprintf(out, NAMES_TEXT_MAX, "%s", name);
	else
		snprintf(out, NAMES_TEXT_MAX, "errno-%u", error);
}

void names_address(uint32_t family, const uint8_t *address, char *out)
{
	if (!inet_ntop(family == 4 ? AF_INET : AF_INET6, address, out, NAMES_TEXT_MAX))
		out[0] = '\0';
}
