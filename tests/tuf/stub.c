/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuf/forge.h"
#include "tuf/keys.h"

unsigned int stub_good;

bool tuf_key_verify(const struct tuf_key *key, const void *bytes, size_t len, const uint8_t *sig,
		    size_t sig_len)
{
	(void)key;
	(void)bytes;
	(void)len;
	stub_good += sig_len > 0 && sig[0] == FORGE_GOOD;
	return sig_len > 0 && sig[0] == FORGE_GOOD;
}
