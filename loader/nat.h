/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that tell of address translation, for the exporter. Only who opens them needs a
 * privilege; who reads them does not.
 */
#ifndef LOADER_NAT_H
#define LOADER_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether connections are tracked in this network namespace; needs no privilege. */
bool nat_is_tracked(void);

struct nat_sockets {
	int events_fd;  /* begins and ends of translated connections, from now on */
	int dump_fd;    /* what is tracked already: asked for, to be read */
	uint32_t netns; /* inode number of the network namespace, theirs and ours */
};

/*
 * Needs CAP_NET_ADMIN, effective. buffer_bytes: of the kernel's memory, for what is not read yet.
 * Loads nothing but what the kernel itself loads for a listener (nf_conntrack_netlink), and that
 * only where connections are tracked already. Returns 0 with the fds the caller's, or a negative
 * errno with the reason and the remedy in why; -ENOENT: connections are not tracked here.
 */
int nat_open(struct nat_sockets *sockets, uint32_t buffer_bytes, char *why, size_t cap);

void nat_close(struct nat_sockets *sockets);

#endif
