/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpackers: the first byte is the type that the receiver takes the frame for. What it accepts
 * must be packable, and be packed the same when it was unpacked again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union msg first, second;
	static uint8_t frame[PROTO_FRAME_MAX], again[PROTO_FRAME_MAX];
	enum msg_type type;
	int len;

	if (size < 1)
		return 0;
	type = (enum msg_type)(data[0] % (MSG_TYPE_COUNT + 1));
	if (msg_unpack(type, data + 1, size - 1, &first) != 0)
		return 0;
	len = msg_pack(type, &first, frame, sizeof(frame));
	if (len <= 0 || msg_unpack(type, frame, (size_t)len, &second) != 0)
		abort();
	if (msg_pack(type, &second, again, sizeof(again)) != len ||
	    memcmp(frame, again, (size_t)len) != 0)
		abort();
	return 0;
}
