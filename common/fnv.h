/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNV-1a with 64 bits: tells contents apart that differ by chance, not those that somebody makes
 * alike.
 */
#ifndef COMMON_FNV_H
#define COMMON_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV1A_START UINT64_C(0xcbf29ce484222325)

/* The hash of what was hashed before (FNV1A_START: nothing) and these bytes behind it. */
uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len);

#endif
