/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from a ctnetlink socket: the parser takes each message whole, and never more than
   there is; what it lets through can be kept, found again, and printed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/nat_cache.h"
#include "exporter/nat_parse.h"
#include "record/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_conn(const struct nat_conn *conn)
{
	struct event event = {.type = EVENT_CLOSE,
			      .family = conn->family,
			      .protocol = conn->protocol,
			      .sport = conn->original.sport,
			      .dport = conn->original.dport,
			      .recorded_ns = 1};
	struct json_context context = {.cgroup = NULL};
	struct nat_cache cache;
	struct nat_tuple translated;
	char line[JSON_LINE_MAX];

	if ((conn->family != 4 && conn->family != 6) ||
	    (conn->protocol != 6 && conn->protocol != 17))
		abort();
	memcpy(event.saddr, conn->original.src, sizeof(event.saddr));
	memcpy(event.daddr, conn->original.dst, sizeof(event.daddr));
	if (nat_cache_open(&cache, 4) < 0)
		return;
	nat_cache_begin(&cache, conn, 0, 1);
	if (!nat_cache_find(&cache, &event, &translated))
		abort();
	nat_cache_close(&cache);
	context.nat = &translated;
	if (json_event(&event, &context, line, sizeof(line)) <= 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly its size, and aligned as a receive buffer is. */
	uint8_t *bytes = malloc(size ? size : 1);
	struct nat_message message;
	size_t at = 0;
	int taken;

	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	while ((taken = nat_parse(bytes + at, size - at, &message)) > 0) {
		if ((size_t)taken > size - at)
			abort();
		at += (size_t)taken;
		if (message.kind >= NAT_NEW && message.kind <= NAT_DUMPED)
			check_conn(&message.conn);
	}
	if (taken == 0 && at != size)
		abort();
	free(bytes);
	return 0;
}
