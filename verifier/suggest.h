/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the known names a mistyped one was meant to be. */
#ifndef VERIFIER_SUGGEST_H
#define VERIFIER_SUGGEST_H

#include <stdint.h>

struct suggest {
	const char *typed;
	const char *best; /* NULL = none is near */
	uint32_t distance;
};

/* Begin with what was typed. */
void suggest_init(struct suggest *suggest, const char *typed);

/* Offer a known name; best becomes it if it is near and nearer than those before. */
void suggest_try(struct suggest *suggest, const char *name);

#endif
