/* SPDX-License-Identifier: Apache-2.0 */
/* What of the sandbox stays open for a server. */
#ifndef POLLER_NETWORK_H
#define POLLER_NETWORK_H

#include <stddef.h>

#include "poller/sandbox.h"

/*
 * For a URL of https:// or, on this host, http://: its port; of https:// also what its name is
 * looked up by, and the certificates of ca, "": the system's. The fds stay open. Returns 0, or a
 * negative errno with the path in why.
 */
int network_need(const char *url, const char *ca, struct sandbox_needs *needs, char *why,
		 size_t cap);

/* A file or directory, for reading; likewise. */
int network_add_room(const char *path, struct sandbox_needs *needs, char *why, size_t cap);

#endif
