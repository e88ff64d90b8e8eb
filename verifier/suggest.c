/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/suggest.h"

#include <stddef.h>
#include <string.h>

#define NAME_MAX_LEN 40u
#define NEAR         2u

void suggest_init(struct suggest *suggest, const char *typed)
{
	*suggest = (struct suggest){.typed = typed, .distance = NEAR + 1};
}

static uint32_t least(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein: how many letters must be put in, taken out or changed. */
static uint32_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	uint32_t row[NAME_MAX_LEN + 1];

	for (uint32_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 0; i < a_len; i++) {
		uint32_t before = row[0];

		row[0]++;
		for (size_t j = 0; j < b_len; j++) {
			uint32_t above = row[j + 1];

			row[j + 1] = least(before + (a[i] != b[j]), above + 1, row[j] + 1);
			before = above;
		}
	}
	return row[b_len];
}

void suggest_try(struct suggest *suggest, const char *name)
{
	size_t typed_len = strlen(suggest->typed), len = strlen(name);
	uint32_t far;

	if (typed_len > NAME_MAX_LEN || len > NAME_MAX_LEN)
		return;
	far = distance(suggest->typed, typed_len, name, len);
	if (far < suggest->distance && far < len) {
		suggest->distance = far;
		suggest->best = name;
	}
}
