/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/status.h"

struct words {
	char *out;
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct words *words, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(words->out + words->len, STATUS_FILTER_MAX - words->len, format, args);
	va_end(args);
	if (len > 0 && (size_t)len < STATUS_FILTER_MAX - words->len)
		words->len += (size_t)len;
}

static void add_network(struct words *words, const struct filter *match)
{
	char text[INET6_ADDRSTRLEN];

	if (match->families != (FAMILY_IPV4 | FAMILY_IPV6) &&
	    inet_ntop(match->families == FAMILY_IPV4 ? AF_INET : AF_INET6, match->addr, text,
		      sizeof(text)))
		add(words, " %s/%u", text, match->prefix_bits);
}

static void add_ports(struct words *words, const struct filter *match)
{
	if (match->port_low == match->port_high)
		add(words, " port %u", match->port_low);
	else if (match->port_low)
		add(words, " port %u-%u", match->port_low, match->port_high);
}

void status_filter(const struct config_filter *filter, char *out)
{
	const struct filter *match = &filter->match;
	struct words words = {.out = out};
	size_t action;

	add(&words, "%s", match->action == FILTER_INCLUDE ? "include" : "exclude");
	action = words.len;
	add_network(&words, match);
	add_ports(&words, match);
	if (match->protocols != (PROTOCOL_TCP | PROTOCOL_UDP))
		add(&words, " protocol %s", match->protocols == PROTOCOL_TCP ? "tcp" : "udp");
	if (match->by_cgroup)
		add(&words, " cgroup %s", filter->cgroup);
	if (words.len == action)
		add(&words, " all");
	if (match->sample)
		add(&words, " sample %u", match->sample);
}
