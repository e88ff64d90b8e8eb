/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/safe.h"

#include "common/log.h"
#include "common/msg.h"

const char *safe(const char *text)
{
	static char out[8 * MSG_TEXT_MAX];

	log_escape(text, out, sizeof(out));
	return out;
}
