/* SPDX-License-Identifier: Apache-2.0 */
/* An input that is read byte by byte, as a script of choices; behind its end all bytes are 0. */
#ifndef TESTS_FUZZ_SCRIPT_H
#define TESTS_FUZZ_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

struct script {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t take(struct script *script)
{
	if (!script->left)
		return 0;
	script->left--;
	return *script->at++;
}

#endif
