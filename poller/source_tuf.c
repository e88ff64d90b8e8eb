/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/source_tuf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/bundle.h"
#include "poller/handed.h"
#include "poller/network.h"
#include "tuf/fetch.h"
#include "tuf/metadata.h"
#include "tuf/stock.h"
#include "tuf/tuf.h"

#define TIMEOUT_S 30u /* of one request */

/* A file that came from the repository since this process began. */
struct fetched {
	char key[BUNDLE_NAME_MAX]; /* as in the bundle */
	char name[TUF_NAME_MAX];   /* of metadata that verified: "snapshot.json"; else "" */
	char *bytes;               /* malloc'ed */
	size_t len_bytes;
	bool used; /* in the look under way */
};

struct repository {
	const struct config_source *from;
	char metadata_url[CONFIG_PATH_MAX + 16], targets_url[CONFIG_PATH_MAX + 16];
	struct handed handed;
	uint32_t count;
	struct fetched files[STOCK_FILES_MAX];
	struct fetched *last;      /* that answered; NULL: the store did */
	char etag[FETCH_ETAG_MAX]; /* of "timestamp.json" in files */
	struct fetch *fetch;
	struct fetch_options options;
	struct tuf *tuf;
	struct bundle bundle;
	bool answered; /* the server had something for us once */
};

/* --- what was fetched ----------------------------------------------------------------------------
 */

static struct fetched *find_key(struct repository *repo, const char *prefix, const char *url)
{
	char key[BUNDLE_NAME_MAX];

	snprintf(key, sizeof(key), "%s%s", prefix, url);
	for (uint32_t i = 0; i < repo->count; i++)
		if (strcmp(repo->files[i].key, key) == 0)
			return &repo->files[i];
	return NULL;
}

static struct fetched *find_name(struct repository *repo, const char *name)
{
	for (uint32_t i = 0; i < repo->count; i++)
		if (strcmp(repo->files[i].name, name) == 0)
			return &repo->files[i];
	return NULL;
}

static struct fetched *find_target(struct repository *repo, const struct tuf_digest *listed)
{
	for (uint32_t i = 0; i < repo->count; i++) {
		const struct fetched *file = &repo->files[i];
		struct tuf_digest digest;

		if (file->len_bytes == listed->length &&
		    tuf_digest_of(file->bytes, file->len_bytes, &digest) == 0 &&
		    tuf_digest_fits(&digest, listed))
			return &repo->files[i];
	}
	return NULL;
}

/* Takes the bytes over. NULL: there is no room. */
static struct fetched *put(struct repository *repo, const char *prefix, const char *url,
			   char *bytes, size_t len)
{
	struct fetched *file = find_key(repo, prefix, url);

	if (!file && repo->count == STOCK_FILES_MAX) {
		free(bytes);
		return NULL;
	}
	if (!file) {
		file = &repo->files[repo->count++];
		memset(file, 0, sizeof(*file));
		snprintf(file->key, sizeof(file->key), "%s%s", prefix, url);
	}
	free(file->bytes);
	file->bytes = bytes;
	file->len_bytes = len;
	file->name[0] = '\0';
	return file;
}

static bool is_root(const struct fetched *file)
{
	return stock_is_root(file->key + strlen(BUNDLE_METADATA));
}

/* Keeps the chain of roots, and what the last look was about. */
static void forget_unused(struct repository *repo)
{
	for (uint32_t i = repo->count; i-- > 0;) {
		struct fetched *file = &repo->files[i];

		if (file->used || is_root(file))
			continue;
		free(file->bytes);
		*file = repo->files[--repo->count];
	}
	if (!find_key(repo, BUNDLE_METADATA, "timestamp.json"))
		repo->etag[0] = '\0';
}

/* --- answers to the state machine ----------------------------------------------------------------
 */

static void feed_fetched(struct repository *repo, struct fetched *file)
{
	file->used = true;
	repo->last = file;
	tuf_feed(repo->tuf, TUF_ANSWER_OK, file->bytes, file->len_bytes);
}

static void feed_stored(struct repository *repo, const struct stock_file *file)
{
	repo->last = NULL;
	if (file)
		tuf_feed(repo->tuf, TUF_ANSWER_OK, file->bytes, file->len_bytes);
	else
		tuf_feed(repo->tuf, TUF_ANSWER_ABSENT, NULL, 0);
}

static void on_load(struct repository *repo, const struct tuf_want *want)
{
	struct fetched *file = find_name(repo, want->name);

	if (strcmp(want->name, "root.json") == 0)
		tuf_feed(repo->tuf, TUF_ANSWER_OK, repo->handed.root, repo->handed.root_len);
	else if (file)
		feed_fetched(repo, file);
	else
		feed_stored(repo, stock_latest(&repo->handed.store, want->name, false));
}

/* From the server. */
static void fetch(struct repository *repo, const char *prefix, const struct tuf_want *want,
		  char etag[FETCH_ETAG_MAX])
{
	const char *base =
		strcmp(prefix, BUNDLE_TARGET) == 0 ? repo->targets_url : repo->metadata_url;
	struct fetched *file;
	char *bytes;
	size_t len;
	int err = fetch_get_changed(repo->fetch, base, want->url, want->max_bytes, etag, &bytes,
				    &len);

	if (err == -EALREADY)
		feed_fetched(repo, find_key(repo, prefix, want->url));
	else if (err == -ENOENT)
		tuf_feed(repo->tuf, TUF_ANSWER_ABSENT, NULL, 0);
	else if (err == -EFBIG)
		tuf_feed(repo->tuf, TUF_ANSWER_TOO_LARGE, NULL, 0);
	else if (err)
		tuf_feed(repo->tuf, TUF_ANSWER_ERROR, NULL, 0);
	if (err)
		return;
	file = put(repo, prefix, want->url, bytes, len);
	if (file)
		feed_fetched(repo, file);
	else
		tuf_feed(repo->tuf, TUF_ANSWER_ERROR, NULL, 0);
}

/* A root, once there, never changes; a timestamp is asked for only if it has. */
static void on_fetch(struct repository *repo, const struct tuf_want *want)
{
	bool root = strcmp(want->name, "root.json") == 0;
	const struct stock_file *stored = root ? stock_find(&repo->handed.store, want->url) : NULL;
	struct fetched *fetched = root ? find_key(repo, BUNDLE_METADATA, want->url) : NULL;
	char none[FETCH_ETAG_MAX] = "";

	if (stored)
		feed_stored(repo, stored);
	else if (fetched)
		feed_fetched(repo, fetched);
	else
		fetch(repo, BUNDLE_METADATA, want,
		      strcmp(want->url, "timestamp.json") == 0 ? repo->etag : none);
}

static void on_keep(struct repository *repo, const struct tuf_want *want)
{
	struct fetched *before = find_name(repo, want->name);

	if (before)
		before->name[0] = '\0';
	if (repo->last && strcmp(want->name, "root.json") != 0)
		snprintf(repo->last->name, sizeof(repo->last->name), "%s", want->name);
	tuf_feed(repo->tuf, TUF_ANSWER_OK, NULL, 0);
}

static void on_fetch_file(struct repository *repo, const struct tuf_want *want)
{
	const struct tuf_digest *listed = &want->target->digest;
	struct fetched *fetched = find_target(repo, listed);
	const struct stock_file *stored =
		fetched ? NULL : stock_target(&repo->handed.store, listed, false);
	char none[FETCH_ETAG_MAX] = "";

	if (fetched)
		feed_fetched(repo, fetched);
	else if (stored)
		feed_stored(repo, stored);
	else
		fetch(repo, BUNDLE_TARGET, want, none);
}

static void on_keep_file(struct repository *repo, const struct tuf_want *want)
{
	(void)want;
	tuf_feed(repo->tuf, TUF_ANSWER_OK, NULL, 0);
}

/* By enum tuf_want_kind; those without are the ends of a run. */
static void (*const handlers[])(struct repository *repo, const struct tuf_want *want) = {
	[TUF_LOAD] = on_load,           [TUF_FETCH] = on_fetch,
	[TUF_KEEP] = on_keep,           [TUF_FETCH_FILE] = on_fetch_file,
	[TUF_KEEP_FILE] = on_keep_file, [TUF_READY] = NULL,
	[TUF_NO_TARGET] = NULL,         [TUF_FAILED] = NULL,
};

static bool drive(struct repository *repo)
{
	const struct tuf_want *want = tuf_next(repo->tuf);

	while (handlers[want->kind]) {
		handlers[want->kind](repo, want);
		want = tuf_next(repo->tuf);
	}
	return want->kind != TUF_FAILED;
}

/* --- a look --------------------------------------------------------------------------------------
 */

static bool find_part(struct repository *repo, const char *folder, const char *name)
{
	char path[CONFIG_NAME_MAX];

	snprintf(path, sizeof(path), "%s%s.yaml", folder, name);
	return tuf_find(repo->tuf, path) == 0 && drive(repo);
}

static bool find_parts(struct repository *repo)
{
	const struct config_source *from = repo->from;
	bool well = find_part(repo, "", "base");

	for (uint32_t i = 0; i < from->group_count && well; i++)
		well = find_part(repo, "group/", from->groups[i].name);
	if (well && from->host[0])
		well = find_part(repo, "host/", from->host);
	return well;
}

static int bundle_up(struct repository *repo)
{
	int err = 0;

	bundle_free(&repo->bundle);
	repo->bundle.max_bytes = MSG_BUNDLE_MAX;
	for (uint32_t i = 0; i < repo->count && !err; i++)
		err = bundle_add(&repo->bundle, repo->files[i].key, repo->files[i].bytes,
				 repo->files[i].len_bytes);
	return err;
}

/* The server has nothing of the kind, or says that it is no such server. */
static bool is_unimplemented(const struct repository *repo)
{
	long status = repo->options.status;

	return status == 501 || (!repo->answered && (status == 404 || status == 410));
}

static int say_failure(struct repository *repo, struct source_look *look)
{
	const struct tuf_why *why = tuf_why(repo->tuf);
	bool unreachable = why->result == TUF_UNREACHABLE;

	snprintf(look->why, sizeof(look->why), "%.20s: %.150s%s%.80s", tuf_result_name(why->result),
		 why->text, unreachable ? ": " : "", unreachable ? repo->options.why : "");
	look->wait_ms = source_wait_ms(repo->options.retry_after_s);
	return unreachable && is_unimplemented(repo) ? SOURCE_UNIMPLEMENTED : SOURCE_FAILED;
}

/* What did not come whole proves nothing; what came and is wrong is for the verifier to say. */
static bool is_to_be_seen(const struct repository *repo, bool well)
{
	enum tuf_result result = tuf_why(repo->tuf)->result;

	return well ||
	       (result != TUF_UNREACHABLE && result != TUF_TOO_LARGE && result != TUF_NO_MEMORY);
}

static int run(struct repository *repo, struct source_look *look)
{
	bool well = drive(repo) && find_parts(repo);
	int err;

	repo->answered |= well;
	if (is_to_be_seen(repo, well)) {
		forget_unused(repo);
		err = bundle_up(repo);
		if (err)
			return err;
		source_look_bundle(look, &repo->bundle);
	}
	return well ? 0 : say_failure(repo, look);
}

static int look_at_repository(void *self, struct source_look *look)
{
	struct repository *repo = self;
	/* Versions seen before are the verifier's to compare: it is who remembers them. */
	const struct tuf_options options = {.now_s = time(NULL)};
	int err;

	for (uint32_t i = 0; i < repo->count; i++)
		repo->files[i].used = false;
	fetch_start(repo->fetch);
	repo->tuf = tuf_new(&options);
	if (!repo->tuf)
		return -ENOMEM;
	err = run(repo, look);
	tuf_free(repo->tuf);
	repo->tuf = NULL;
	/* No connection is kept for the next look: a server has many hosts. */
	return fetch_renew(repo->fetch) < 0 ? -ENOMEM : err;
}

/* --- the beginning -------------------------------------------------------------------------------
 */

static int refuse(char *why, size_t cap, int err, const char *what, const char *path)
{
	snprintf(why, cap, "%.20s: %.200s", what, path);
	return err;
}

static int need(struct repository *repo, struct sandbox_needs *needs, char *why, size_t cap)
{
	const char *url = repo->from->url;

	return strncmp(url, "file://", 7) == 0 ? network_add_room(url + 7, needs, why, cap)
					       : network_need(url, repo->from->ca, needs, why, cap);
}

static int open_fetch(struct repository *repo, const struct source_setup *setup)
{
	size_t len = strlen(repo->from->url);

	while (len && repo->from->url[len - 1] == '/')
		len--;
	snprintf(repo->metadata_url, sizeof(repo->metadata_url), "%.*s/metadata", (int)len,
		 repo->from->url);
	snprintf(repo->targets_url, sizeof(repo->targets_url), "%.*s/targets", (int)len,
		 repo->from->url);
	repo->options = (struct fetch_options){.agent = "conntrace-poller/" VERSION,
					       .ca_file = repo->from->ca[0] ? repo->from->ca : NULL,
					       .timeout_s = TIMEOUT_S,
					       .breathe = setup->breathe,
					       .ctx = setup->ctx};
	return fetch_open(&repo->fetch, &repo->options);
}

static int open_repository(const struct source_setup *setup, struct sandbox_needs *needs,
			   void **self, char *why, size_t cap)
{
	static struct repository repo;
	int err;

	*self = &repo;
	repo.from = &setup->config->source;
	err = handed_read(&repo.handed, setup);
	if (err)
		return refuse(why, cap, err, "source", "what is stored of it");
	err = open_fetch(&repo, setup);
	if (err)
		return refuse(why, cap, err, "source", repo.options.why);
	return need(&repo, needs, why, cap);
}

const struct source source_tuf = {.open = open_repository, .look = look_at_repository};
