/* SPDX-License-Identifier: Apache-2.0 */
#include "common/msgfmt.h"

#include <errno.h>
#include <msgpack.h>
#include <stdbool.h>
#include <string.h>

/* --- bounds, before msgpack-c sees a byte --- */

/* What a first byte says: bytes of head that follow it hold a length or count. */
struct shape {
	uint8_t low, high; /* range of the first byte */
	uint8_t skip;      /* payload bytes of fixed size */
	uint8_t head;      /* bytes of a big-endian length or count */
	uint8_t per;       /* 0: length in bytes; 1: array of values; 2: map of pairs */
	uint8_t mask;      /* bits of the first byte that are the length or count */
};

enum { PER_BYTES, PER_VALUES, PER_PAIRS };

/* https://github.com/msgpack/msgpack/blob/master/spec.md, "Overview"; extension types are not ours.
 */
static const struct shape shapes[] = {
	{0x00, 0x7f, 0, 0, PER_BYTES, 0},     {0x80, 0x8f, 0, 0, PER_PAIRS, 0x0f},
	{0x90, 0x9f, 0, 0, PER_VALUES, 0x0f}, {0xa0, 0xbf, 0, 0, PER_BYTES, 0x1f},
	{0xc0, 0xc0, 0, 0, PER_BYTES, 0},     {0xc2, 0xc3, 0, 0, PER_BYTES, 0},
	{0xc4, 0xc4, 0, 1, PER_BYTES, 0},     {0xc5, 0xc5, 0, 2, PER_BYTES, 0},
	{0xc6, 0xc6, 0, 4, PER_BYTES, 0},     {0xca, 0xca, 4, 0, PER_BYTES, 0},
	{0xcb, 0xcb, 8, 0, PER_BYTES, 0},     {0xcc, 0xcc, 1, 0, PER_BYTES, 0},
	{0xcd, 0xcd, 2, 0, PER_BYTES, 0},     {0xce, 0xce, 4, 0, PER_BYTES, 0},
	{0xcf, 0xcf, 8, 0, PER_BYTES, 0},     {0xd0, 0xd0, 1, 0, PER_BYTES, 0},
	{0xd1, 0xd1, 2, 0, PER_BYTES, 0},     {0xd2, 0xd2, 4, 0, PER_BYTES, 0},
	{0xd3, 0xd3, 8, 0, PER_BYTES, 0},     {0xd9, 0xd9, 0, 1, PER_BYTES, 0},
	{0xda, 0xda, 0, 2, PER_BYTES, 0},     {0xdb, 0xdb, 0, 4, PER_BYTES, 0},
	{0xdc, 0xdc, 0, 2, PER_VALUES, 0},    {0xdd, 0xdd, 0, 4, PER_VALUES, 0},
	{0xde, 0xde, 0, 2, PER_PAIRS, 0},     {0xdf, 0xdf, 0, 4, PER_PAIRS, 0},
	{0xe0, 0xff, 0, 0, PER_BYTES, 0},
};

static const struct shape *shape_of(uint8_t byte)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (byte >= shapes[i].low && byte <= shapes[i].high)
			return &shapes[i];
	return NULL;
}

/* Reads one value's head at *pos; *children is how many values it holds. False if it can't be. */
static bool read_head(const uint8_t *frame, size_t len, size_t *pos, uint64_t *children)
{
	const struct shape *shape = shape_of(frame[*pos]);
	uint64_t count;

	if (!shape)
		return false;
	count = frame[*pos] & shape->mask;
	*pos += 1;
	if (len - *pos < shape->head)
		return false;
	for (uint8_t i = 0; i < shape->head; i++)
		count = count << 8 | frame[(*pos)++];
	*children = shape->per == PER_BYTES ? 0 : count * shape->per;
	count = shape->per == PER_BYTES ? count + shape->skip : *children;
	/* Every value takes at least a byte, so this bounds counts as well as lengths. */
	if (count > len - *pos)
		return false;
	if (shape->per == PER_BYTES)
		*pos += (size_t)count;
	return true;
}

int msgfmt_bounded(const uint8_t *frame, size_t len)
{
	uint64_t open[MSGFMT_DEPTH_MAX] = {0};
	size_t depth = 0, pos = 0;
	uint64_t children;

	for (;;) {
		if (pos >= len || !read_head(frame, len, &pos, &children))
			return false;
		if (children) {
			if (depth == MSGFMT_DEPTH_MAX)
				return false;
			open[depth++] = children;
			continue;
		}
		while (depth && --open[depth - 1] == 0)
			depth--;
		if (!depth)
			return pos == len;
	}
}

/* --- numbers in memory --- */

static uint64_t number_get(const uint8_t *at, uint32_t width)
{
	uint64_t number = 0;

	memcpy(&number, at, width); /* little endian, as every machine we build for */
	return number;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "msgfmt: byte order");

static void number_put(uint8_t *at, uint32_t width, uint64_t number)
{
	memcpy(at, &number, width);
}

/* --- packing --- */

struct sink {
	uint8_t *buf;
	size_t len, cap;
};

static int sink_write(void *data, const char *bytes, size_t len)
{
	struct sink *sink = data;

	if (len > sink->cap - sink->len)
		return -1;
	memcpy(sink->buf + sink->len, bytes, len);
	sink->len += len;
	return 0;
}

static int pack_struct(msgpack_packer *pk, const struct msgfmt *format, const uint8_t *object);

static int pack_uint(msgpack_packer *pk, const struct msgfmt_field *f, const uint8_t *at)
{
	uint64_t number = number_get(at, f->width);

	if (number < f->min || number > f->max)
		return -EINVAL;
	return msgpack_pack_uint64(pk, number) ? -EMSGSIZE : 0;
}

static int pack_string(msgpack_packer *pk, const struct msgfmt_field *f, const uint8_t *at)
{
	size_t len = strnlen((const char *)at, (size_t)f->max);

	if (len == f->max)
		return -EINVAL;
	if (msgpack_pack_str(pk, len) || msgpack_pack_str_body(pk, at, len))
		return -EMSGSIZE;
	return 0;
}

static int pack_bytes(msgpack_packer *pk, const struct msgfmt_field *f, const uint8_t *object)
{
	uint64_t len = number_get(object + f->count_offset, sizeof(uint32_t));

	if (len > f->max)
		return -EINVAL;
	if (msgpack_pack_bin(pk, (size_t)len) ||
	    msgpack_pack_bin_body(pk, object + f->offset, (size_t)len))
		return -EMSGSIZE;
	return 0;
}

static int pack_elements(msgpack_packer *pk, const struct msgfmt_field *f, const uint8_t *object,
			 uint64_t count)
{
	const uint8_t *at = object + f->offset;
	int err = 0;

	if (count > f->max)
		return -EINVAL;
	if (msgpack_pack_array(pk, (size_t)count))
		return -EMSGSIZE;
	for (uint64_t i = 0; i < count && !err; i++, at += f->width) {
		if (f->of)
			err = pack_struct(pk, f->of, at);
		else if (msgpack_pack_uint64(pk, number_get(at, f->width)))
			err = -EMSGSIZE;
	}
	return err;
}

static int pack_field(msgpack_packer *pk, const struct msgfmt_field *f, const uint8_t *object)
{
	switch (f->kind) {
	case MSGFMT_UINT:
		return pack_uint(pk, f, object + f->offset);
	case MSGFMT_STRING:
		return pack_string(pk, f, object + f->offset);
	case MSGFMT_BYTES:
		return pack_bytes(pk, f, object);
	case MSGFMT_STRUCT:
		return pack_struct(pk, f->of, object + f->offset);
	case MSGFMT_LIST:
		return pack_elements(pk, f, object,
				     number_get(object + f->count_offset, sizeof(uint32_t)));
	case MSGFMT_ARRAY:
		return pack_elements(pk, f, object, f->max);
	}
	return -EINVAL;
}

static int pack_fields(msgpack_packer *pk, const struct msgfmt *format, const uint8_t *object)
{
	int err = 0;

	for (uint32_t i = 0; i < format->field_count && !err; i++)
		err = pack_field(pk, &format->fields[i], object);
	return err;
}

static int pack_struct(msgpack_packer *pk, const struct msgfmt *format, const uint8_t *object)
{
	if (msgpack_pack_array(pk, format->field_count))
		return -EMSGSIZE;
	return pack_fields(pk, format, object);
}

int msgfmt_pack(uint64_t type, const struct msgfmt *format, const void *object, uint8_t *buf,
		size_t cap)
{
	struct sink sink = {.buf = buf, .cap = cap};
	msgpack_packer pk;
	int err;

	msgpack_packer_init(&pk, &sink, sink_write);
	if (msgpack_pack_array(&pk, (size_t)format->field_count + 1) ||
	    msgpack_pack_uint64(&pk, type))
		return -EMSGSIZE;
	err = pack_fields(&pk, format, object);
	return err ? err : (int)sink.len;
}

/* --- unpacking --- */

static int unpack_fields(const struct msgfmt *format, const msgpack_object *values,
			 uint8_t *object);

static int unpack_uint(const struct msgfmt_field *f, const msgpack_object *value, uint8_t *at)
{
	if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER || value->via.u64 < f->min ||
	    value->via.u64 > f->max)
		return -EPROTO;
	number_put(at, f->width, value->via.u64);
	return 0;
}

/* msgpack-c gives no pointer for an empty string or binary at the end of a frame. */
static void copy_bytes(uint8_t *at, const char *bytes, uint32_t len)
{
	if (len)
		memcpy(at, bytes, len);
}

static int unpack_string(const struct msgfmt_field *f, const msgpack_object *value, uint8_t *at)
{
	const msgpack_object_str *str = &value->via.str;

	if (value->type != MSGPACK_OBJECT_STR || str->size >= f->max ||
	    (str->size && memchr(str->ptr, 0, str->size)))
		return -EPROTO;
	copy_bytes(at, str->ptr, str->size);
	return 0;
}

static int unpack_bytes(const struct msgfmt_field *f, const msgpack_object *value, uint8_t *object)
{
	const msgpack_object_bin *bin = &value->via.bin;

	if (value->type != MSGPACK_OBJECT_BIN || bin->size > f->max)
		return -EPROTO;
	copy_bytes(object + f->offset, bin->ptr, bin->size);
	number_put(object + f->count_offset, sizeof(uint32_t), bin->size);
	return 0;
}

static int unpack_nested(const struct msgfmt *format, const msgpack_object *value, uint8_t *at)
{
	if (value->type != MSGPACK_OBJECT_ARRAY || value->via.array.size != format->field_count)
		return -EPROTO;
	return unpack_fields(format, value->via.array.ptr, at);
}

static int unpack_element(const struct msgfmt_field *f, const msgpack_object *value, uint8_t *at)
{
	if (f->of)
		return unpack_nested(f->of, value, at);
	if (value->type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    (f->width < sizeof(uint64_t) && value->via.u64 >> (8 * f->width)))
		return -EPROTO;
	number_put(at, f->width, value->via.u64);
	return 0;
}

static int unpack_elements(const struct msgfmt_field *f, const msgpack_object *value,
			   uint8_t *object)
{
	uint8_t *at = object + f->offset;
	int err = 0;

	if (value->type != MSGPACK_OBJECT_ARRAY || value->via.array.size > f->max)
		return -EPROTO;
	if (f->kind == MSGFMT_ARRAY && value->via.array.size != f->max)
		return -EPROTO;
	for (uint32_t i = 0; i < value->via.array.size && !err; i++, at += f->width)
		err = unpack_element(f, &value->via.array.ptr[i], at);
	if (!err && f->kind == MSGFMT_LIST)
		number_put(object + f->count_offset, sizeof(uint32_t), value->via.array.size);
	return err;
}

static int unpack_field(const struct msgfmt_field *f, const msgpack_object *value, uint8_t *object)
{
	switch (f->kind) {
	case MSGFMT_UINT:
		return unpack_uint(f, value, object + f->offset);
	case MSGFMT_STRING:
		return unpack_string(f, value, object + f->offset);
	case MSGFMT_BYTES:
		return unpack_bytes(f, value, object);
	case MSGFMT_STRUCT:
		return unpack_nested(f->of, value, object + f->offset);
	case MSGFMT_LIST:
	case MSGFMT_ARRAY:
		return unpack_elements(f, value, object);
	}
	return -EPROTO;
}

static int unpack_fields(const struct msgfmt *format, const msgpack_object *values, uint8_t *object)
{
	int err = 0;

	for (uint32_t i = 0; i < format->field_count && !err; i++)
		err = unpack_field(&format->fields[i], &values[i], object);
	return err;
}

static int unpack_frame(uint64_t type, const struct msgfmt *format, const msgpack_object *top,
			uint8_t *object)
{
	if (top->type != MSGPACK_OBJECT_ARRAY || top->via.array.size != format->field_count + 1)
		return -EPROTO;
	if (top->via.array.ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
	    top->via.array.ptr[0].via.u64 != type)
		return -EPROTO;
	return unpack_fields(format, top->via.array.ptr + 1, object);
}

int msgfmt_unpack(uint64_t type, const struct msgfmt *format, const uint8_t *frame, size_t len,
		  void *object)
{
	msgpack_unpacked unpacked;
	msgpack_unpack_return ret;
	size_t pos = 0;
	int err;

	memset(object, 0, format->size);
	if (!msgfmt_bounded(frame, len))
		return -EPROTO;
	msgpack_unpacked_init(&unpacked);
	ret = msgpack_unpack_next(&unpacked, (const char *)frame, len, &pos);
	if (ret == MSGPACK_UNPACK_SUCCESS && pos == len)
		err = unpack_frame(type, format, &unpacked.data, object);
	else
		err = ret == MSGPACK_UNPACK_NOMEM_ERROR ? -ENOMEM : -EPROTO;
	msgpack_unpacked_destroy(&unpacked);
	return err;
}
