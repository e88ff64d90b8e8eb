/* SPDX-License-Identifier: Apache-2.0 */
/* fnmatch(3) depends on the locale, and with many stars its time grows without bound. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "tuf/json.h"
#include "tuf/metadata.h"

/* The character at text, which is valid UTF-8, and its bytes; of any bytes: never over the NUL. */
static size_t take(const char *text, uint32_t *c)
{
	size_t len = 1;

	*c = (unsigned char)*text;
	while (*text && ((unsigned char)text[len] & 0xc0) == 0x80 && len < 4)
		*c = *c << 8 | (unsigned char)text[len++];
	return len;
}

/* The end of a set that begins at pattern, behind its ']'; NULL if it has no end: then the bracket
   stands for itself. */
static const char *set_end(const char *pattern)
{
	const char *at = pattern + 1;

	at += *at == '!';
	at += *at == ']';
	at = strchr(at, ']');
	return at ? at + 1 : NULL;
}

static bool in_set(const char *pattern, const char *end, uint32_t c)
{
	const char *at = pattern + 1;
	bool negated = *at == '!', found = false;
	uint32_t first, last;

	at += negated;
	do {
		at += take(at, &first);
		last = first;
		if (*at == '-' && at + 1 < end - 1)
			at += 1 + take(at + 1, &last);
		found = found || (c >= first && c <= last);
	} while (at < end - 1);
	return found != negated;
}

/* Match one character that is no slash, or itself. Returns where the pattern goes on, NULL if it
   doesn't match. */
static const char *match_one(const char *pattern, const char *path, size_t *len)
{
	const char *end = *pattern == '[' ? set_end(pattern) : NULL;
	uint32_t c, wanted;

	*len = take(path, &c);
	if (*pattern == '?' || end) {
		if (*path == '/' || (end && !in_set(pattern, end, c)))
			return NULL;
		return end ? end : pattern + 1;
	}
	pattern += take(pattern, &wanted);
	return c == wanted ? pattern : NULL;
}

bool tuf_pattern_matches(const char *pattern, const char *path)
{
	const char *star = NULL, *retry = NULL;
	uint32_t c;

	while (*path) {
		const char *next;
		size_t len;

		if (*pattern == '*') {
			star = ++pattern;
			retry = path;
			continue;
		}
		next = *pattern ? match_one(pattern, path, &len) : NULL;
		if (next) {
			pattern = next;
			path += len;
			continue;
		}
		/* The last star takes one more. One in an earlier part of the path can't help: its
		   part matched up to the slash. */
		if (!star || *retry == '/')
			return false;
		retry += take(retry, &c);
		pattern = star;
		path = retry;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool any_pattern(const json_t *patterns, const char *path)
{
	for (size_t i = 0; i < json_array_size(patterns); i++)
		if (tuf_pattern_matches(json_string_value(json_array_get(patterns, i)), path))
			return true;
	return false;
}

static bool any_prefix(const json_t *prefixes, const char *path)
{
	uint8_t hash[TUF_SHA256_LEN];
	char hex[2 * TUF_SHA256_LEN + 1];

	if (EVP_Digest(path, strlen(path), hash, NULL, EVP_sha256(), NULL) != 1)
		return false;
	tuf_hex_write(hash, sizeof(hash), hex);
	for (size_t i = 0; i < json_array_size(prefixes); i++) {
		const char *prefix = json_string_value(json_array_get(prefixes, i));

		if (strncmp(hex, prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

/* The first bits of the path's hash. */
static int bin_of(const char *path, int64_t bits, uint32_t *bin)
{
	uint8_t hash[TUF_SHA256_LEN];

	if (EVP_Digest(path, strlen(path), hash, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	*bin = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
	*bin >>= TUF_BIN_BITS_MAX - bits;
	return 0;
}

/* A name ends in the bin's number, in as many digits as the last bin has. */
const json_t *tuf_targets_bin(const struct tuf_metadata *targets, const char *path,
			      char name[TUF_NAME_MAX])
{
	const json_t *delegations = json_object_get(targets->body, "delegations");
	const json_t *bins = json_object_get(delegations, "succinct_roles");
	uint32_t bin;
	int64_t bits;

	if (tuf_json_integer(bins, "bit_length", 1, TUF_BIN_BITS_MAX, &bits) < 0 ||
	    bin_of(path, bits, &bin) < 0 ||
	    snprintf(name, TUF_NAME_MAX, "%s-%0*x", tuf_json_text(bins, "name_prefix"),
		     (int)(bits + 3) / 4, bin) >= (int)TUF_NAME_MAX)
		return NULL;
	return bins;
}

bool tuf_delegation_matches(const json_t *delegation, const char *path)
{
	return any_pattern(json_object_get(delegation, "paths"), path) ||
	       any_prefix(json_object_get(delegation, "path_hash_prefixes"), path);
}
