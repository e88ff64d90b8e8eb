/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/keep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memfd.h"
#include "supervisor/custody.h"

#define NAME_FORMAT     "tracer-%u-%02u"
#define MANIFEST_FORMAT "tracer-%u-manifest"

void keep_name(char name[INHERIT_NAME_MAX], uint32_t generation, uint32_t index)
{
	snprintf(name, INHERIT_NAME_MAX, NAME_FORMAT, generation, index);
}

void keep_manifest_name(char name[INHERIT_NAME_MAX], uint32_t generation)
{
	snprintf(name, INHERIT_NAME_MAX, MANIFEST_FORMAT, generation);
}

int keep_manifest(const struct custody *custody, uint32_t ring_bytes)
{
	const struct msg_custody msg = {.ring_bytes = ring_bytes, .manifest = custody->manifest};
	static uint8_t frame[PROTO_FRAME_MAX];
	int len = msg_pack(MSG_CUSTODY, &msg, frame, proto_row(MSG_CUSTODY)->frame_max);

	return len < 0 ? len : memfd_seal("manifest", frame, (size_t)len);
}

/* --- the store --- */

/* What stays in there stays attached. */
static void remove_name(const struct notify *notify, const char *name)
{
	char state[64 + INHERIT_NAME_MAX];
	int err;

	if (notify->fd < 0)
		return;

	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	err = notify_store(notify, state, -1);
	if (err)
		log_error("fd store of the service manager: can't remove %s: %s", name,
			  strerror(-err));
}

static void remove_tracer(const struct notify *notify, uint32_t generation, uint32_t fd_count)
{
	char name[INHERIT_NAME_MAX];

	/* First what makes it one. */
	keep_manifest_name(name, generation);
	remove_name(notify, name);
	for (uint32_t i = 0; i < fd_count; i++) {
		keep_name(name, generation, i);
		remove_name(notify, name);
	}
}

/* A descriptor that can be polled would be thrown out when it reports an error: FDPOLL=0. */
static int put(const struct notify *notify, const char *name, int fd)
{
	char state[64 + INHERIT_NAME_MAX];

	snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return notify_store(notify, state, fd);
}

static int put_tracer(const struct supervisor *sup)
{
	const struct custody *custody = &sup->custody;
	uint32_t generation = custody->manifest.generation;
	char name[INHERIT_NAME_MAX];
	int manifest = keep_manifest(custody, sup->ring_bytes);
	int err = manifest < 0 ? manifest : 0;

	for (uint32_t i = 0; i < custody->manifest.fd_count && !err; i++) {
		keep_name(name, generation, i);
		err = put(&sup->notify, name, custody->fds[i]);
	}
	/* Last: a tracer without one does not count. */
	keep_manifest_name(name, generation);
	if (!err)
		err = put(&sup->notify, name, manifest);
	if (manifest >= 0)
		close(manifest);
	return err;
}

void keep_store(struct supervisor *sup)
{
	const struct msg_manifest *manifest = &sup->custody.manifest;
	int err;

	if (sup->notify.fd < 0 || sup->stored.generation == manifest->generation)
		return;
	err = put_tracer(sup);
	if (err) {
		log_warning("fd store of the service manager: %s: the tracer would not outlive "
			    "this process",
			    strerror(-err));
		remove_tracer(&sup->notify, manifest->generation, manifest->fd_count);
		return;
	}
	if (sup->stored.generation)
		remove_tracer(&sup->notify, sup->stored.generation, sup->stored.fd_count);
	sup->stored.generation = manifest->generation;
	sup->stored.fd_count = manifest->fd_count;
}

/* --- back from there --- */

/* The generation in the name of a manifest; 0 = it is none. */
static uint32_t manifest_generation(const char *name)
{
	static const char prefix[] = "tracer-";
	char again[INHERIT_NAME_MAX];
	unsigned long generation;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	/* Whatever it makes of the text, it must be written so. */
	generation = strtoul(name + sizeof(prefix) - 1, NULL, 10);
	if (generation > UINT32_MAX)
		return 0;
	keep_manifest_name(again, (uint32_t)generation);
	return strcmp(name, again) == 0 ? (uint32_t)generation : 0;
}

static uint32_t newest(const struct inherited *inherited)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < inherited->count; i++) {
		uint32_t generation =
			inherited->fds[i].fd < 0 ? 0 : manifest_generation(inherited->fds[i].name);

		if (generation > found)
			found = generation;
	}
	return found;
}

static int read_manifest(int fd, uint32_t generation, struct msg_custody *msg)
{
	static union msg room;
	struct stat st;
	char *bytes;
	int err;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > proto_row(MSG_CUSTODY)->frame_max)
		return -EPROTO;
	err = memfd_read(fd, (size_t)st.st_size, &bytes);
	if (err)
		return err;
	err = msg_unpack(MSG_CUSTODY, (const uint8_t *)bytes, (size_t)st.st_size, &room);
	free(bytes);
	if (!err && room.custody.manifest.generation != generation)
		err = -EPROTO;
	if (!err)
		*msg = room.custody;
	return err;
}

/* The fds of that tracer in the order of their numbers, as far as there are. */
static void collect(struct inherited *inherited, uint32_t generation, struct dispatch_fds *fds)
{
	char name[INHERIT_NAME_MAX];

	fds->count = 0;
	while (fds->count < PROTO_FDS_MAX) {
		int fd;

		keep_name(name, generation, fds->count);
		fd = inherit_fd(inherited, name);
		if (fd < 0)
			return;
		fds->fds[fds->count++] = fd;
	}
}

static int restore(struct supervisor *sup, struct inherited *inherited, uint32_t generation)
{
	char name[INHERIT_NAME_MAX];
	struct msg_custody msg;
	struct dispatch_fds fds;
	int fd, err;

	keep_manifest_name(name, generation);
	fd = inherit_fd(inherited, name);
	collect(inherited, generation, &fds);
	err = read_manifest(fd, generation, &msg);
	close(fd);
	if (!err)
		err = custody_take(&sup->custody, &msg.manifest, &fds);
	for (uint32_t i = 0; i < fds.count; i++)
		if (fds.fds[i] >= 0)
			close(fds.fds[i]);
	if (!err)
		sup->ring_bytes = msg.ring_bytes;
	return err;
}

/* Only what is in custody stays in the store. */
static void clear_store(const struct supervisor *sup, const struct inherited *inherited)
{
	char kept[INHERIT_NAME_MAX];

	snprintf(kept, sizeof(kept), "tracer-%u-", sup->custody.manifest.generation);
	for (uint32_t i = 0; i < inherited->count; i++)
		if (!custody_holds(&sup->custody) ||
		    strncmp(inherited->fds[i].name, kept, strlen(kept)) != 0)
			remove_name(&sup->notify, inherited->fds[i].name);
}

/* systemd 254 and newer says how much room there is; without it what doesn't fit is not heard of.
 */
static void warn_of_room(const struct notify *notify)
{
	const char *text = getenv("FDSTORE");

	if (notify->fd >= 0 && text && strtoul(text, NULL, 10) < KEEP_STORE_MAX)
		log_warning("fd store of the service manager: room for %.20s fds, and tracers need "
			    "up to %u: set FileDescriptorStoreMax=%u in the unit",
			    text, KEEP_STORE_MAX, KEEP_STORE_MAX);
}

void keep_restore(struct supervisor *sup, struct inherited *inherited)
{
	const struct msg_manifest *manifest = &sup->custody.manifest;
	uint32_t generation;

	warn_of_room(&sup->notify);
	while (!custody_holds(&sup->custody) && (generation = newest(inherited))) {
		int err = restore(sup, inherited, generation);

		if (err)
			log_warning("tracer %u, left to this process, is not taken: %s", generation,
				    err == -EPROTO ? "its manifest or its fds are not what they "
						     "should be"
						   : strerror(-err));
	}
	clear_store(sup, inherited);
	if (!custody_holds(&sup->custody))
		return;
	sup->stored.generation = manifest->generation;
	sup->stored.fd_count = manifest->fd_count;
	log_info("tracer %u goes on: %u fds were left to this process", manifest->generation,
		 manifest->fd_count);
}
