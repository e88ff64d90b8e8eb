/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpackers: the first byte is the type that the receiver takes the frame for. What it accepts
 * must be packable, and mean the same after it.
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
	static uint8_t frame[PROTO_FRAME_MAX];
	enum msg_type type;
	int len;

	if (size < 1)
		return 0;
	type = (enum msg_type)(data[0] % (MSG_TYPE_COUNT + 1));
	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	if (msg_unpack(type, data + 1, size - 1, &first) != 0)
		return 0;
	len = msg_pack(type, &first, frame, sizeof(frame));
	if (len <= 0 || msg_unpack(type, frame, (size_t)len, &second) != 0)
		abort();
	if (memcmp(&first, &second, sizeof(first)) != 0)
		abort();
	return 0;
}
