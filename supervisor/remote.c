/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memfd.h"
#include "common/wholefile.h"

#define ROOT_BYTES_MAX (64u << 10)

static const char *const role_names[MSG_ROLES] = {
	[MSG_ROLE_ROOT] = "root",
	[MSG_ROLE_TIMESTAMP] = "timestamp",
	[MSG_ROLE_SNAPSHOT] = "snapshot",
	[MSG_ROLE_TARGETS] = "targets",
};

static const struct config_source *source_of(const struct supervisor *sup)
{
	return &sup->configure.current.config.source;
}

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

bool remote_is_signed(const struct supervisor *sup)
{
	return sup->remote.root_fd >= 0;
}

/* --- the source --- */

static int check_owner(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return (st.st_uid == 0 || st.st_uid == geteuid()) && !(st.st_mode & (S_IWGRP | S_IWOTH))
		       ? 0
		       : -EPERM;
}

static int read_root(const char *path, char **bytes, size_t *len)
{
	int err = check_owner(path);

	*bytes = NULL;
	return err ? err : wholefile_read(AT_FDCWD, path, ROOT_BYTES_MAX, bytes, len);
}

void remote_close(struct supervisor *sup)
{
	struct remote *remote = &sup->remote;

	if (remote->root_fd >= 0)
		close(remote->root_fd);
	store_close(&remote->store);
	memset(remote, 0, sizeof(*remote));
	remote->root_fd = -1;
	remote->store.dir_fd = -1;
}

/* The same source as before, by name and by the bytes of its root. */
static bool is_followed(const struct remote *remote, const struct config_source *source,
			const char *bytes, size_t len)
{
	char *before = NULL;
	bool same = remote->root_fd >= 0 &&
		    strcmp(remote->place, config_signed_place(source)) == 0 &&
		    remote->root_len == len && memfd_read(remote->root_fd, len, &before) == 0 &&
		    memcmp(before, bytes, len) == 0;

	free(before);
	return same;
}

static bool open_signed(struct supervisor *sup, const char *bytes, size_t len)
{
	struct remote *remote = &sup->remote;

	if (is_followed(remote, source_of(sup), bytes, len))
		return false;
	remote_close(sup);
	remote->root_fd = memfd_seal("root", bytes, len);
	remote->root_len = (uint32_t)len;
	snprintf(remote->place, sizeof(remote->place), "%s", config_signed_place(source_of(sup)));
	if (remote->root_fd < 0) {
		remote->root_err = remote->root_fd;
		remote->root_fd = -1;
		return false;
	}
	store_open(&remote->store, sup->options.state_dir, bytes, len);
	return store_has_set(&remote->store);
}

bool remote_follow(struct supervisor *sup)
{
	const struct config_source *source = source_of(sup);
	char *bytes;
	size_t len;
	bool found = false;
	int err;

	if (!config_signed_place(source)[0]) {
		remote_close(sup);
		return false;
	}
	err = read_root(source->root, &bytes, &len);
	if (!err)
		found = open_signed(sup, bytes, len);
	else
		log_error("source.root %s: %s: install the root that is to be trusted there, "
			  "readable, and writable by its owner alone",
			  source->root, strerror(-err));
	/* What was trusted before it could no longer be read is trusted still. */
	if (!remote_is_signed(sup))
		sup->remote.root_err = err;
	free(bytes);
	return found;
}

/* --- to a verifier --- */

/* A name that could not stand in a path gives no part. */
static void name_host(char host[CONFIG_LABEL_MAX])
{
	char name[256] = "";

	host[0] = '\0';
	if (gethostname(name, sizeof(name) - 1) == 0 && !config_label_wrong(name))
		snprintf(host, CONFIG_LABEL_MAX, "%.52s", name);
}

int remote_fill_check(struct supervisor *sup, const struct texts *bundle, struct msg_check *check,
		      int *fds)
{
	struct remote *remote = &sup->remote;
	struct msg_part *parts = check->parts;

	check->now_s = now_s();
	name_host(check->host);
	if (!remote_is_signed(sup))
		return 0;
	check->kind = CANDIDATE_BUNDLE;
	fds[1 + CHECK_ROOT] = remote->root_fd;
	parts[CHECK_ROOT].len_bytes = remote->root_len;
	fds[1 + CHECK_STORE] = store_memfd(&remote->store, &parts[CHECK_STORE].len_bytes);
	if (fds[1 + CHECK_STORE] < 0)
		return fds[1 + CHECK_STORE];
	check->part_count = CHECK_BUNDLE;
	store_begin(&remote->store);
	if (bundle->fd < 0)
		return CHECK_BUNDLE;
	fds[1 + CHECK_BUNDLE] = bundle->fd;
	parts[CHECK_BUNDLE].len_bytes = bundle->len_bytes;
	check->part_count = CHECK_PARTS_MAX;
	return CHECK_PARTS_MAX;
}

int remote_keep(struct supervisor *sup, const struct msg_keep *keep, const struct texts *bundle)
{
	int err = bundle->fd < 0 || !remote_is_signed(sup) ? -EPROTO : 0;

	for (uint32_t i = 0; i < keep->file_count && !err; i++)
		err = store_keep(&sup->remote.store, &keep->files[i], bundle->fd,
				 bundle->len_bytes);
	return err;
}

/* --- what a check said --- */

void remote_checked(struct supervisor *sup, const struct msg_signed *told,
		    const struct texts *bundle, bool accepted)
{
	struct remote *remote = &sup->remote;

	if (!remote_is_signed(sup))
		return;
	if (bundle->fd >= 0) {
		remote->last = *told;
		store_commit(&remote->store, told->floor, accepted);
	} else if (told->trust != TRUST_accepted && told->trust != TRUST_none) {
		remote->last = *told;
		log_error("signed configuration, as it is stored: %s: not applied", told->why);
	}
	if (!accepted || told->trust != TRUST_accepted)
		return;
	remote->in_force = *told;
	remote->expired_told = 0;
	if (bundle->fd < 0)
		remote->proven = *told;
}

void remote_passed(struct supervisor *sup)
{
	struct remote *remote = &sup->remote;

	if (!remote_is_signed(sup))
		return;
	remote->proven = remote->in_force;
	store_enforce(&remote->store);
}

void remote_rolled_back(struct supervisor *sup)
{
	struct remote *remote = &sup->remote;

	if (!remote_is_signed(sup))
		return;
	remote->in_force = remote->proven;
	store_withdraw(&remote->store);
}

bool remote_is_passing(const struct msg_signed *signature)
{
	return signature->trust == TRUST_clock || signature->trust == TRUST_expired ||
	       signature->trust == TRUST_failed || signature->trust == TRUST_incomplete;
}

/* --- the poller --- */

int remote_poller_fds(const struct supervisor *sup, int *root_fd, int *store_fd)
{
	uint32_t len;

	if (!remote_is_signed(sup))
		return sup->remote.root_err ? sup->remote.root_err : -ENOENT;
	*root_fd = sup->remote.root_fd;
	*store_fd = store_memfd(&sup->remote.store, &len);
	return *store_fd < 0 ? *store_fd : 0;
}

void remote_polled(struct supervisor *sup, const struct msg_polled *polled)
{
	sup->remote.polled = *polled;
}

static bool is_expired(const struct msg_signed *in_force, uint32_t role, uint64_t now)
{
	return in_force->expires_s[role] && in_force->expires_s[role] <= now;
}

void remote_look_at_expiry(struct supervisor *sup)
{
	struct remote *remote = &sup->remote;
	uint64_t now = now_s();

	for (uint32_t role = 0; role < MSG_ROLES; role++) {
		if (!is_expired(&remote->in_force, role, now) || remote->expired_told & 1u << role)
			continue;
		remote->expired_told |= 1u << role;
		log_warning("signed configuration: %s has expired: what is in force stays; the "
			    "repository must be signed anew, or can't be reached",
			    role_names[role]);
	}
}

/* --- status --- */

bool remote_is_degraded(const struct supervisor *sup)
{
	const struct remote *remote = &sup->remote;
	uint64_t now = now_s();
	bool degraded = config_signed_place(source_of(sup))[0] && !remote_is_signed(sup);

	if (!remote_is_signed(sup))
		return degraded;
	degraded |= remote->store.trouble[0] != '\0';
	degraded |= remote->last.trust != TRUST_none && remote->last.trust != TRUST_accepted;
	for (uint32_t role = 0; role < MSG_ROLES; role++)
		degraded |= is_expired(&remote->in_force, role, now);
	return degraded;
}

void remote_status(const struct supervisor *sup, struct msg_source *source)
{
	const struct remote *remote = &sup->remote;
	const struct config_source *from = source_of(sup);

	source->kind = from->url[0]   ? SOURCE_SIGNED
		       : from->rc[0]  ? SOURCE_AGENT
		       : from->dir[0] ? SOURCE_DIR
				      : SOURCE_NONE;
	source->polled = remote->polled;
	source->now_s = now_s();
	source->degraded = remote_is_degraded(sup);
	source->in_force = remote->in_force;
	source->last = remote->last;
	snprintf(source->place, sizeof(source->place), "%s",
		 from->dir[0] ? from->dir : config_signed_place(from));
	memcpy(source->store, remote->store.trouble, sizeof(source->store));
	if (remote->root_err)
		snprintf(source->store, sizeof(source->store), "the trusted root: %s",
			 strerror(-remote->root_err));
	source->in_force.floor[0] = source->last.floor[0] = '\0';
}
