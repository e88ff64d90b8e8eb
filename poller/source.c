/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source.h"

#include <stdlib.h>
#include <string.h>

#include "common/fnv.h"

#define RETRY_AFTER_S 3600u /* no server may ask for more */

uint64_t source_look_hash(const struct source_look *look)
{
	uint64_t hash = fnv1a(FNV1A_START, &look->what, sizeof(look->what));

	return fnv1a(hash, look->bytes, look->len_bytes);
}

void source_look_bundle(struct source_look *look, const struct bundle *bundle)
{
	look->found = true;
	look->what = (struct msg_candidate){
		.kind = CANDIDATE_BUNDLE,
		.part_count = 1,
		.parts = {{.name = "bundle", .len_bytes = (uint32_t)bundle->len_bytes}}};
	look->bytes = bundle->bytes;
	look->len_bytes = bundle->len_bytes;
}

uint32_t source_wait_ms(uint32_t retry_after_s)
{
	return 1000 * (retry_after_s < RETRY_AFTER_S ? retry_after_s : RETRY_AFTER_S);
}

/* Before the path, the number behind the last colon. */
uint16_t source_port(const char *url, uint16_t otherwise)
{
	const char *scheme = strstr(url, "://");
	const char *host = scheme ? scheme + 3 : url;
	const char *end = host + strcspn(host, "/");
	const char *colon = memrchr(host, ':', (size_t)(end - host));
	const char *bracket = memrchr(host, ']', (size_t)(end - host));
	unsigned long port =
		colon && (!bracket || colon > bracket) ? strtoul(colon + 1, NULL, 10) : otherwise;

	return port && port <= UINT16_MAX ? (uint16_t)port : otherwise;
}
