/* SPDX-License-Identifier: Apache-2.0 */
/* The words for the numbers of a record: part of the contract in docs/record.md. */
#ifndef RECORD_NAMES_H
#define RECORD_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* Room for any text of names_error() and names_address(). */
#define NAMES_TEXT_MAX 48u

/* All NULL for a number that has no name. */
const char *names_event(uint32_t type);      /* "open", "update", "close", "walk" */
const char *names_protocol(uint32_t number); /* "tcp" */
const char *names_direction(uint32_t direction);
const char *names_owner(uint32_t owner);
const char *names_state(uint32_t state); /* include/net/tcp_states.h, lower case */

/* "ECONNREFUSED"; "errno-4000" if the C library knows no name. out has NAMES_TEXT_MAX bytes. */
void names_error(uint32_t error, char *out);

/* An address as in struct event, family 4 or 6. out has NAMES_TEXT_MAX bytes. */
void names_address(uint32_t family, const uint8_t *address, char *out);

#endif
