/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "cli/status.h"
#include "cli/textbuf.h"

static void add_network(struct textbuf *words, const struct filter *match)
{
	char text[INET6_ADDRSTRLEN];

	if (match->families != (FAMILY_IPV4 | FAMILY_IPV6) &&
	    inet_ntop(match->families == FAMILY_IPV4 ? AF_INET : AF_INET6, match->addr, text,
		      sizeof(text)))
		textbuf_add(words, " %s/%u", text, match->prefix_bits);
}

static void add_ports(struct textbuf *words, const struct filter *match)
{
	if (match->port_low == match->port_high)
		textbuf_add(words, " port %u", match->port_low);
	else if (match->port_low)
		textbuf_add(words, " port %u-%u", match->port_low, match->port_high);
}

void status_filter(const struct config_filter *filter, char *out)
{
	const struct filter *match = &filter->match;
	struct textbuf words = {.out = out, .cap = STATUS_FILTER_MAX};
	size_t action;

	textbuf_add(&words, "%s", match->action == FILTER_INCLUDE ? "include" : "exclude");
	action = words.len;
	add_network(&words, match);
	add_ports(&words, match);
	if (match->protocols != (PROTOCOL_TCP | PROTOCOL_UDP))
		textbuf_add(&words, " protocol %s",
			    match->protocols == PROTOCOL_TCP ? "tcp" : "udp");
	if (match->by_cgroup)
		textbuf_add(&words, " cgroup %s", filter->cgroup);
	if (words.len == action)
		textbuf_add(&words, " all");
	if (match->sample)
		textbuf_add(&words, " sample %u", match->sample);
}
