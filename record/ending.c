/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ending.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>

#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

#define IN(state) (1u << (state))
#define ANY       UINT32_MAX
#define ANY_ERROR (-1)

/* The first rule that fits decides. */
static const struct {
	uint32_t states; /* left for CLOSE */
	int error;
	const char *word;
} rules[] = {
	{IN(TCP_SYN_SENT), ECONNREFUSED, "refused"},
	{IN(TCP_SYN_SENT), 0, "cancelled"},
	{ANY, ECONNRESET, "reset_in"},
	{ANY, EPIPE, "reset_in"}, /* after the other end's FIN */
	{ANY, ETIMEDOUT, "timeout"},
	{ANY, EHOSTUNREACH, "unreachable"},
	{ANY, ENETUNREACH, "unreachable"},
	{ANY, ECONNABORTED, "aborted"}, /* by the administrator: ss -K */
	{IN(TCP_CLOSE), 0, "unknown"},
	/* Closed with data unread, or with SO_LINGER 0: the FIN was not waited for. */
	{IN(TCP_ESTABLISHED) | IN(TCP_CLOSE_WAIT) | IN(TCP_SYN_RECV), 0, "reset_out"},
	{ANY, 0, "fin"},
	{ANY, ANY_ERROR, "error"},
};

const char *ending_word(const struct event *event)
{
	if (event->type != EVENT_CLOSE)
		return NULL;
	if (event->protocol == IPPROTO_UDP)
		return event->flags & EVENT_F_IDLE ? "idle" : "closed";
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if ((rules[i].states >> event->state & 1) &&
		    (rules[i].error == ANY_ERROR || rules[i].error == event->error))
			return rules[i].word;
	return NULL;
}

const char *ending_closer(uint32_t closer)
{
	static const char *const words[] = {
		[CLOSER_NONE] = NULL, [CLOSER_LOCAL] = "local", [CLOSER_REMOTE] = "remote"};

	return closer <= CLOSER_REMOTE ? words[closer] : NULL;
}

struct end {
	uint8_t addr[EVENT_ADDR_LEN];
	uint16_t port;
};

static uint64_t hash_end(uint64_t hash, const struct end *end)
{
	for (size_t i = 0; i < sizeof(end->addr); i++)
		hash = (hash ^ end->addr[i]) * FNV_PRIME;
	hash = (hash ^ (end->port >> 8)) * FNV_PRIME;
	return (hash ^ (end->port & 0xff)) * FNV_PRIME;
}

uint64_t ending_pair(const struct event *event)
{
	struct end ends[2] = {{.port = event->sport}, {.port = event->dport}};
	int order;

	memcpy(ends[0].addr, event->saddr, sizeof(ends[0].addr));
	memcpy(ends[1].addr, event->daddr, sizeof(ends[1].addr));
	order = memcmp(ends[0].addr, ends[1].addr, sizeof(ends[0].addr));
	if (order == 0)
		order = (int)ends[0].port - ends[1].port;
	return hash_end(hash_end(FNV_OFFSET, &ends[order > 0]), &ends[order <= 0]);
}
