/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/handed.h"

#include <sys/stat.h>

#include "common/memfd.h"
#include "tuf/tuf.h"

static int read_all(int fd, char **bytes, size_t *len)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -EPROTO;
	*len = (size_t)st.st_size;
	return memfd_read(fd, *len, bytes);
}

int handed_read(struct handed *handed, const struct source_setup *setup)
{
	size_t stored_len;
	int err = tuf_process_init();

	if (!err)
		err = read_all(setup->root_fd, &handed->root, &handed->root_len);
	if (!err)
		err = read_all(setup->store_fd, &handed->stored, &stored_len);
	return err ? err : stock_read(&handed->store, handed->stored, stored_len);
}
