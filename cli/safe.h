/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SAFE_H
#define CLI_SAFE_H

/* Text of others, escaped, cut if it is longer than any of ours; lives until the next call. */
const char *safe(const char *text);

#endif
