/* SPDX-License-Identifier: Apache-2.0 */
/* The record decoder: whatever it lets through must be printable, as JSON and as a table. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/decode.h"
#include "record/json.h"
#include "record/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct json_context context = {.offset_ns = 1700000000000000000};
	char line[JSON_LINE_MAX];
	struct event event;
	int len;

	if (decode_event(data, size, &event) != DECODE_OK || event.type == EVENT_WALK)
		return 0;
	len = json_event(&event, &context, line, sizeof(line));
	if (len <= 0 || memchr(line, '\n', (size_t)len) != line + len - 1)
		abort();
	len = table_event(&event, context.offset_ns, line);
	if (len <= 0 || (size_t)len > TABLE_WIDTH + 1)
		abort();
	for (int i = 0; i < len - 1; i++)
		if (line[i] < 0x20 || line[i] > 0x7e)
			abort();
	return 0;
}
