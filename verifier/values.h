/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of single values to numbers: pure, exact or refused, no locale. */
#ifndef VERIFIER_VALUES_H
#define VERIFIER_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"

/* "250ms", "10s", "5m", "1h" to milliseconds. False if it is no such text. */
bool value_duration(const char *text, uint64_t *ms);

/* "64KiB", "4MiB", "1GiB" to bytes. False if it is no such text. */
bool value_size(const char *text, uint64_t *bytes);

/* A whole number from 1 to most. False if it is no such text. */
bool value_count(const char *text, uint32_t most, uint32_t *count);

/* "443" or "8000-8999", from 1 to 65535, to its first and last port. False if it is no such text.
 */
bool value_ports(const char *text, uint16_t *low, uint16_t *high);

/*
 * "10.0.0.0/8", "2001:db8::/32", or an address alone, to the address condition of a filter.
 * Returns NULL, or what is wrong with the text (a constant).
 */
const char *value_cidr(const char *text, struct filter *filter);

#endif
