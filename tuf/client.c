/* SPDX-License-Identifier: Apache-2.0 */
#include "tuf/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "tuf/fetch.h"
#include "tuf/metadata.h"
#include "tuf/tuf.h"

/* Set by tests: their servers speak plain http, and only to this host. */
#define LOOPBACK_ENV "CONNTRACE_TUF_LOOPBACK_HTTP"

struct client {
	const struct client_options *options;
	int metadata_fd, target_fd; /* -1: not open */
	struct fetch_options fetch_options;
	struct fetch *fetch;
	struct tuf *tuf;
	bool is_there; /* the target that was asked for is in target_dir already */
};

/* What helps, by the result. */
static const char *const remedies[TUF_RESULTS] = {
	[TUF_EXPIRED] = "the repository must be signed anew, or this host's clock is wrong",
	[TUF_ROLLBACK] = "the server offers something older than before: it is stale or attacked",
	[TUF_UNREACHABLE] = "nothing was changed; try again",
};

/* --- folders -------------------------------------------------------------------------------------
 */

static int open_folder(const char *path, bool make)
{
	int fd;

	if (make && mkdir(path, 0777) < 0 && errno != EEXIST) {
		log_error("%s: can't be made: %s", path, strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		log_error("%s: can't be opened: %s", path, strerror(errno));
	return fd;
}

/* Two writers would spoil each other's temporary files. */
static int open_metadata_dir(struct client *client, bool make)
{
	const char *path = client->options->metadata_dir;

	client->metadata_fd = open_folder(path, make);
	if (client->metadata_fd < 0)
		return -1;
	if (flock(client->metadata_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_error("%s: in use by another conntrace-tuf, or can't be locked: %s", path,
		  strerror(errno));
	return -1;
}

static void close_client(struct client *client)
{
	tuf_free(client->tuf);
	fetch_close(client->fetch);
	if (client->metadata_fd >= 0)
		close(client->metadata_fd);
	if (client->target_fd >= 0)
		close(client->target_fd);
}

/* --- what the state machine wants ----------------------------------------------------------------
 */

static enum tuf_answer answer_of(int err)
{
	if (err == 0)
		return TUF_ANSWER_OK;
	if (err == -ENOENT)
		return TUF_ANSWER_ABSENT;
	return err == -EFBIG ? TUF_ANSWER_TOO_LARGE : TUF_ANSWER_ERROR;
}

static void feed(struct client *client, int err, char *bytes, size_t len)
{
	tuf_feed(client->tuf, answer_of(err), bytes, len);
	free(bytes);
}

static void on_load(struct client *client, const struct tuf_want *want)
{
	char *bytes;
	size_t len;
	int err = wholefile_read(client->metadata_fd, want->name, want->max_bytes, &bytes, &len);

	feed(client, err, bytes, len);
}

static void fetch_from(struct client *client, const char *base, const struct tuf_want *want)
{
	char *bytes;
	size_t len;
	int err = fetch_get(client->fetch, base, want->url, want->max_bytes, &bytes, &len);

	if (err && err != -ENOENT)
		log_error("%s: %s", want->url, client->fetch_options.why);
	feed(client, err, bytes, len);
}

static void on_fetch(struct client *client, const struct tuf_want *want)
{
	fetch_from(client, client->options->metadata_url, want);
}

static void tell_unstored(const char *folder, const char *name, int err)
{
	log_error("%s/%s: can't be written: %s", folder, name, strerror(-err));
}

static void on_keep(struct client *client, const struct tuf_want *want)
{
	int err = wholefile_write(client->metadata_fd, want->name, want->bytes, want->len, 0644);

	if (err)
		tell_unstored(client->options->metadata_dir, want->name, err);
	feed(client, err ? -EIO : 0, NULL, 0);
}

/* A file of an earlier run that still fits is fed as if it came from the server. */
static bool feed_kept_file(struct client *client, const struct tuf_want *want)
{
	struct tuf_digest digest;
	char name[NAME_MAX + 1];
	char *bytes;
	size_t len;

	if (tuf_name_of_target(want->target->path, name, sizeof(name)) < 0 ||
	    wholefile_read(client->target_fd, name, want->max_bytes, &bytes, &len) < 0)
		return false;
	client->is_there = tuf_digest_of(bytes, len, &digest) == 0 &&
			   tuf_digest_fits(&digest, &want->target->digest);
	if (client->is_there)
		feed(client, 0, bytes, len);
	else
		free(bytes);
	return client->is_there;
}

static void on_fetch_file(struct client *client, const struct tuf_want *want)
{
	client->is_there = false;
	if (!feed_kept_file(client, want))
		fetch_from(client, client->options->target_base_url, want);
}

static void on_keep_file(struct client *client, const struct tuf_want *want)
{
	char name[NAME_MAX + 1];
	int err = tuf_name_of_target(want->target->path, name, sizeof(name));

	if (!err && !client->is_there)
		err = wholefile_write(client->target_fd, name, want->bytes, want->len, 0644);
	if (err)
		tell_unstored(client->options->target_dir, want->target->path, err);
	feed(client, err ? -EIO : 0, NULL, 0);
}

/* By enum tuf_want_kind; those without are the ends of a run. */
static void (*const handlers[])(struct client *client, const struct tuf_want *want) = {
	[TUF_LOAD] = on_load,           [TUF_FETCH] = on_fetch,
	[TUF_KEEP] = on_keep,           [TUF_FETCH_FILE] = on_fetch_file,
	[TUF_KEEP_FILE] = on_keep_file, [TUF_READY] = NULL,
	[TUF_NO_TARGET] = NULL,         [TUF_FAILED] = NULL,
};

/* Returns 0 when ready, -1 after telling why not. */
static int drive(struct client *client)
{
	const struct tuf_want *want = tuf_next(client->tuf);
	const struct tuf_why *why = tuf_why(client->tuf);

	while (handlers[want->kind]) {
		handlers[want->kind](client, want);
		want = tuf_next(client->tuf);
	}
	if (want->kind != TUF_FAILED)
		return want->kind == TUF_READY ? 0 : -1;
	log_error("%s: %s", tuf_result_name(why->result), why->text);
	if (remedies[why->result])
		log_error("%s", remedies[why->result]);
	return -1;
}

/* --- commands ------------------------------------------------------------------------------------
 */

/* Bring the folder up to date. Whatever it returns, close_client() follows. */
static int refresh(struct client *client, const struct client_options *options)
{
	const struct tuf_options run = {.now_s = time(NULL), .lenience = options->lenience};

	*client = (struct client){
		.options = options,
		.metadata_fd = -1,
		.target_fd = -1,
		.fetch_options = {.agent = "conntrace-tuf/" VERSION,
				  .ca_file = options->ca_file,
				  .timeout_s = options->timeout_s,
				  .loopback_http = getenv(LOOPBACK_ENV) != NULL},
	};
	if (fetch_open(&client->fetch, &client->fetch_options) < 0 ||
	    fetch_check_base(client->fetch, options->metadata_url) < 0 ||
	    (options->target_base_url &&
	     fetch_check_base(client->fetch, options->target_base_url) < 0)) {
		log_error("%s", client->fetch_options.why);
		return -1;
	}
	if (open_metadata_dir(client, false) < 0)
		return -1;
	client->tuf = tuf_new(&run);
	if (!client->tuf) {
		log_error("out of memory");
		return -1;
	}
	return drive(client);
}

int client_refresh(const struct client_options *options)
{
	struct client client;
	int err = refresh(&client, options);

	close_client(&client);
	return err;
}

static int download_one(struct client *client, const char *path)
{
	if (tuf_find(client->tuf, path) < 0) {
		log_error("%s: not a target's name: 1 to 255 bytes, no part of it empty, . or ..",
			  path);
		return -1;
	}
	if (drive(client) == 0)
		return 0;
	if (tuf_next(client->tuf)->kind == TUF_NO_TARGET)
		log_error("%s: no role lists this target", path);
	return -1;
}

int client_download(const struct client_options *options)
{
	struct client client;
	int err = refresh(&client, options);

	if (!err) {
		client.target_fd = open_folder(options->target_dir, true);
		err = client.target_fd < 0 ? -1 : 0;
	}
	for (size_t i = 0; i < options->target_count && !err; i++)
		err = download_one(&client, options->targets[i]);
	close_client(&client);
	return err;
}

/* The root must at least vouch for itself: else a wrong file would be found out much later. */
static int check_root(const char *file, unsigned int lenience, const char *bytes, size_t len)
{
	struct tuf_metadata root;
	struct tuf_why why;
	enum tuf_result result = tuf_root_read(&root, NULL, lenience, bytes, len, &why);

	tuf_metadata_free(&root);
	if (result == TUF_OK)
		return 0;
	log_error("%s: %s: %s", file, tuf_result_name(result), why.text);
	return -1;
}

int client_init(const struct client_options *options, const char *root_file)
{
	struct client client = {.options = options, .metadata_fd = -1, .target_fd = -1};
	char *bytes;
	size_t len;
	int err = wholefile_read(AT_FDCWD, root_file, TUF_ROOT_MAX, &bytes, &len);

	if (err) {
		log_error("%s: can't be read: %s", root_file, strerror(-err));
		return -1;
	}
	err = check_root(root_file, options->lenience, bytes, len);
	if (!err)
		err = open_metadata_dir(&client, true);
	if (!err) {
		err = wholefile_write(client.metadata_fd, "root.json", bytes, len, 0644);
		if (err)
			tell_unstored(options->metadata_dir, "root.json", err);
	}
	free(bytes);
	close_client(&client);
	return err ? -1 : 0;
}
