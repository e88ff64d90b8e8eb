/* SPDX-License-Identifier: Apache-2.0 */
#include "common/bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uint32_t name_size; /* NUL included */
	uint32_t len_bytes;
};

int bundle_next(const char *bundle, size_t len, size_t *at, struct bundle_entry *entry)
{
	struct head head;
	size_t left = len - *at;

	if (!left)
		return 0;
	if (left < sizeof(head))
		return -EPROTO;
	memcpy(&head, bundle + *at, sizeof(head));
	left -= sizeof(head);
	if (head.name_size < 2 || head.name_size > BUNDLE_NAME_MAX || head.name_size > left ||
	    head.len_bytes > left - head.name_size)
		return -EPROTO;
	entry->name = bundle + *at + sizeof(head);
	if (memchr(entry->name, '\0', head.name_size) != entry->name + head.name_size - 1)
		return -EPROTO;
	entry->bytes = entry->name + head.name_size;
	entry->len_bytes = head.len_bytes;
	*at += sizeof(head) + head.name_size + head.len_bytes;
	return 1;
}

static int make_room(struct bundle *bundle, size_t more)
{
	size_t cap = (bundle->len_bytes + more) * 2;
	char *bytes;

	if (more > bundle->max_bytes - bundle->len_bytes)
		return -EFBIG;
	if (more <= bundle->cap_bytes - bundle->len_bytes)
		return 0;
	bytes = realloc(bundle->bytes, cap);
	if (!bytes)
		return -ENOMEM;
	bundle->bytes = bytes;
	bundle->cap_bytes = cap;
	return 0;
}

static void append(struct bundle *bundle, const void *bytes, size_t len)
{
	if (len)
		memcpy(bundle->bytes + bundle->len_bytes, bytes, len);
	bundle->len_bytes += len;
}

int bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t len)
{
	size_t name_size = strlen(name) + 1;
	struct head head = {.name_size = (uint32_t)name_size, .len_bytes = (uint32_t)len};
	int err;

	if (name_size < 2 || name_size > BUNDLE_NAME_MAX)
		return -ENAMETOOLONG;
	if (len > bundle->max_bytes)
		return -EFBIG;
	err = make_room(bundle, sizeof(head) + name_size + len);
	if (err)
		return err;
	append(bundle, &head, sizeof(head));
	append(bundle, name, name_size);
	append(bundle, bytes, len);
	return 0;
}

void bundle_free(struct bundle *bundle)
{
	free(bundle->bytes);
	bundle->bytes = NULL;
	bundle->len_bytes = bundle->cap_bytes = 0;
}
