/* SPDX-License-Identifier: Apache-2.0 */
/* The members that each kind of metadata must have; others are legal, signed and not looked at. */
#ifndef TUF_SHAPE_H
#define TUF_SHAPE_H

#include "tuf/metadata.h"

/* The list of signatures: a keyid that is there twice refuses it. */
enum tuf_result shape_check_signatures(const json_t *signatures, struct tuf_why *why);

/* Check metadata->body and read the keys in it into metadata->keys. */
enum tuf_result shape_check_root(struct tuf_metadata *metadata, struct tuf_why *why);
enum tuf_result shape_check_timestamp(struct tuf_metadata *metadata, struct tuf_why *why);
enum tuf_result shape_check_snapshot(struct tuf_metadata *metadata, struct tuf_why *why);
enum tuf_result shape_check_targets(struct tuf_metadata *metadata, struct tuf_why *why);

#endif
