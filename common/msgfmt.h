/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structs to msgpack and back, by tables: a field table says where a member lies, what it is and
 * what it may hold. msg.c has the tables, this module walks them.
 */
#ifndef COMMON_MSGFMT_H
#define COMMON_MSGFMT_H

#include <stddef.h>
#include <stdint.h>

enum msgfmt_kind {
	MSGFMT_UINT,   /* uint32_t or uint64_t, by width, from min to max */
	MSGFMT_STRING, /* char[max], NUL-terminated, no NUL inside */
	MSGFMT_BYTES,  /* uint8_t[max], its length in the uint32_t at count_offset */
	MSGFMT_STRUCT, /* one nested struct */
	MSGFMT_LIST,   /* up to max nested structs or numbers, their count in the uint32_t at
			  count_offset; the count itself isn't a field */
	MSGFMT_ARRAY,  /* exactly max numbers */
};

struct msgfmt_field {
	enum msgfmt_kind kind;
	uint32_t offset;
	uint32_t width; /* bytes of the number, or of one element */
	uint32_t count_offset;
	uint64_t min;
	uint64_t max;
	const struct msgfmt *of; /* element type; NULL = numbers of width bytes */
};

struct msgfmt {
	const struct msgfmt_field *fields;
	uint32_t field_count;
	uint32_t size; /* of the struct */
};

/* msgpack arrays of a frame nest no deeper than this. */
#define MSGFMT_DEPTH_MAX 5u

/* As msg_pack(), with the format given. */
int msgfmt_pack(uint64_t type, const struct msgfmt *format, const void *object, uint8_t *buf,
		size_t cap);

/* As msg_unpack(), with the format given; *object has format->size bytes. */
int msgfmt_unpack(uint64_t type, const struct msgfmt *format, const uint8_t *frame, size_t len,
		  void *object);

/*
 * True if the bytes are one whole msgpack value whose every declared length and count fits into the
 * bytes that are there, nested at most MSGFMT_DEPTH_MAX deep. msgpack-c allocates by the declared
 * count, so nothing reaches it that has not passed here.
 */
int msgfmt_bounded(const uint8_t *frame, size_t len);

#endif
