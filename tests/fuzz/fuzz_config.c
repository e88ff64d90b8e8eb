/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration's schema: the local file, then the texts of a source, parted by NUL. Whatever
 * comes out must fit the message that carries it, and be consistent if it is called valid.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "verifier/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXTS_MAX 4u

/* Each text in memory of its own size, so that one byte too far is seen. */
static struct schema_text take_text(const uint8_t *data, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		abort();
	memcpy(copy, data, len);
	copy[len] = '\0';
	return (struct schema_text){.name = "fuzz.yaml", .text = copy, .len = len};
}

static void check_answer(int err, const struct config *config, const struct config_origins *origins,
			 const struct errors *errors)
{
	static struct msg_checked checked;
	static uint8_t frame[PROTO_FRAME_MAX];
	static union msg back;
	int len;

	if ((err == 0) != (errors->total == 0) || errors->count > MSG_ERRORS_MAX)
		abort();
	if (config_inconsistent(config))
		abort();
	checked.valid = err ? 0 : 1;
	checked.config = *config;
	checked.origins = *origins;
	checked.error_count = errors->count;
	memcpy(checked.errors, errors->list, sizeof(checked.errors));
	len = msg_pack(MSG_CHECKED, &checked, frame, sizeof(frame));
	if (len < 0 || msg_unpack(MSG_CHECKED, frame, (size_t)len, &back) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct schema_text texts[TEXTS_MAX];
	struct errors errors;
	struct config config;
	struct config_origins origins;
	uint32_t count = 0;
	int err;

	do {
		const uint8_t *end = count + 1 < TEXTS_MAX && size ? memchr(data, 0, size) : NULL;
		size_t len = end ? (size_t)(end - data) : size;

		texts[count++] = take_text(data, len);
		data += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	} while (size);
	err = schema_check(&texts[0], &texts[1], count - 1, &config, &origins, &errors);
	check_answer(err, &config, &origins, &errors);
	for (uint32_t i = 0; i < count; i++)
		free((void *)(uintptr_t)texts[i].text);
	return 0;
}
