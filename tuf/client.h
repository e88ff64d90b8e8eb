/* SPDX-License-Identifier: Apache-2.0 */
/* A run of the state machine over a folder and a server: what conntrace-tuf does. */
#ifndef TUF_CLIENT_H
#define TUF_CLIENT_H

#include <stddef.h>
#include <stdint.h>

struct client_options {
	const char *metadata_dir, *metadata_url;
	const char *target_dir, *target_base_url;
	const char *ca_file;
	uint32_t timeout_s;
	unsigned int lenience; /* enum tuf_lenience */
	const char *const *targets;
	size_t target_count;
};

/* Each returns 0, or -1 after it has logged why. */
int client_init(const struct client_options *options, const char *root_file);
int client_refresh(const struct client_options *options);
int client_download(const struct client_options *options);

#endif
