/* SPDX-License-Identifier: Apache-2.0 */
/* Named members of a JSON object, as status and doctor write them. */
#ifndef COMMON_PUT_H
#define COMMON_PUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/jsonbuf.h"

void put_text(struct jsonbuf *json, const char *key, const char *text);
void put_number(struct jsonbuf *json, const char *key, uint64_t number);
void put_signed(struct jsonbuf *json, const char *key, int64_t number);
void put_flag(struct jsonbuf *json, const char *key, bool flag);

/* The names of a set of capabilities (PRIVS_CAP bits), as a list. */
void put_caps(struct jsonbuf *json, const char *key, uint64_t caps);

#endif
