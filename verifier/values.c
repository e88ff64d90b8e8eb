/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/values.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include "common/config.h"

/* Enough for every range of ours in the smallest unit, and far from overflow in the largest. */
#define DIGITS_MAX 10

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

static const struct unit sizes[] = {
	{"KiB", UINT64_C(1) << 10}, {"MiB", UINT64_C(1) << 20}, {"GiB", UINT64_C(1) << 30}};

/* Reads digits at *text and moves it behind them. False if there are none or too many. */
static bool read_number(const char **text, uint64_t *number)
{
	const char *at = *text;

	*number = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (at - *text == DIGITS_MAX)
			return false;
		*number = *number * 10 + (uint64_t)(*at - '0');
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

static bool read_scaled(const char *text, const struct unit *units, size_t count, uint64_t *value)
{
	if (!read_number(&text, value))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, units[i].name) == 0) {
			*value *= units[i].factor;
			return true;
		}
	}
	return false;
}
_Static_assert(9999999999u < UINT64_MAX >> 30, "values: the longest number in the largest unit");

bool value_duration(const char *text, uint64_t *ms)
{
	return read_scaled(text, durations, sizeof(durations) / sizeof(durations[0]), ms);
}

bool value_size(const char *text, uint64_t *bytes)
{
	return read_scaled(text, sizes, sizeof(sizes) / sizeof(sizes[0]), bytes);
}

bool value_count(const char *text, uint32_t most, uint32_t *count)
{
	uint64_t number;

	if (!read_number(&text, &number) || *text || number < 1 || number > most)
		return false;
	*count = (uint32_t)number;
	return true;
}

static bool read_port(const char **text, uint16_t *port)
{
	uint64_t number;

	if (!read_number(text, &number) || number < 1 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

bool value_ports(const char *text, uint16_t *low, uint16_t *high)
{
	if (!read_port(&text, low))
		return false;
	*high = *low;
	if (*text == '-') {
		text++;
		if (!read_port(&text, high))
			return false;
	}
	return *text == '\0' && *low <= *high;
}

/* The family of the address, and in *widest the bits that one has; 0 if it is none. */
static uint8_t read_address(const char *text, struct filter *filter, uint32_t *widest)
{
	if (inet_pton(AF_INET, text, filter->addr) == 1) {
		*widest = 32;
		return FAMILY_IPV4;
	}
	if (inet_pton(AF_INET6, text, filter->addr) == 1) {
		*widest = 128;
		return FAMILY_IPV6;
	}
	return 0;
}

static bool is_mapped(const uint32_t addr[4])
{
	return addr[0] == 0 && addr[1] == 0 && addr[2] == htonl(0xffff);
}

static const char *read_prefix(const char *text, uint32_t widest, struct filter *filter)
{
	uint64_t bits;

	if (!read_number(&text, &bits) || *text)
		return "has no number of bits after the '/'";
	if (bits > widest)
		return "has a prefix longer than the address";
	filter->prefix_bits = (uint8_t)bits;
	return NULL;
}

const char *value_cidr(const char *text, struct filter *filter)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");
	const char *wrong = NULL;
	uint32_t widest;

	if (len >= sizeof(address))
		return "is not a network (10.0.0.0/8, 2001:db8::/32)";
	memcpy(address, text, len);
	address[len] = '\0';
	memset(filter->addr, 0, sizeof(filter->addr));
	filter->families = read_address(address, filter, &widest);
	if (!filter->families)
		return "is not a network (10.0.0.0/8, 2001:db8::/32)";
	filter->prefix_bits = (uint8_t)widest;
	if (text[len] == '/')
		wrong = read_prefix(text + len + 1, widest, filter);
	if (wrong)
		return wrong;
	if (filter->families == FAMILY_IPV6 && is_mapped(filter->addr))
		return "is an IPv4 network: write it as one, 10.0.0.0/8";
	config_prefix_mask(filter->prefix_bits, filter->mask);
	for (int i = 0; i < 4; i++)
		if (filter->addr[i] & ~filter->mask[i])
			return "has address bits beyond its prefix";
	return NULL;
}
