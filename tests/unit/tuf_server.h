/* SPDX-License-Identifier: Apache-2.0 */
/* A server and a store in memory, for runs of the state machine with forged metadata. */
#ifndef TESTS_UNIT_TUF_SERVER_H
#define TESTS_UNIT_TUF_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tuf/forge.h"
#include "tuf/tuf.h"

#define FILES_MAX 16u

/* A server or a store: files by name. */
struct files {
	size_t count;
	struct {
		char name[TUF_PATH_MAX];
		char *text;
	} list[FILES_MAX];
};

static struct files server, store;

static inline void put(struct files *files, const char *name, const char *text)
{
	size_t at = 0;

	while (at < files->count && strcmp(files->list[at].name, name) != 0)
		at++;
	assert_true(at < FILES_MAX);
	if (at == files->count)
		files->count++;
	else
		free(files->list[at].text);
	snprintf(files->list[at].name, sizeof(files->list[at].name), "%s", name);
	files->list[at].text = strdup(text);
	assert_non_null(files->list[at].text);
}

static inline const char *get(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->list[i].name, name) == 0)
			return files->list[i].text;
	return NULL;
}

static inline void forget(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		free(files->list[i].text);
	files->count = 0;
}

/* Take body over, sign it by a key and by key 0, and put it there. */
static inline void publish(struct files *files, const char *name, json_t *body, uint8_t key)
{
	char *text = forge_sign(body, key, 0, true);

	put(files, name, text);
	free(text);
}

static inline void serve(int64_t timestamp, int64_t snapshot, int64_t targets, uint8_t key)
{
	json_t *body = forge_targets(targets);

	forge_add(body, "base.yaml", "text");
	publish(&server, "targets.json", body, key);
	publish(&server, "snapshot.json", forge_snapshot(snapshot, targets), key);
	publish(&server, "timestamp.json", forge_timestamp(timestamp, snapshot), key);
	put(&server, "base.yaml", "text");
}

static inline int set_up(void **state)
{
	(void)state;
	publish(&store, "root.json", forge_root(1, 1, false), 0);
	serve(5, 4, 3, 1);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	forget(&server);
	forget(&store);
	return 0;
}

static inline void answer(struct tuf *tuf, const char *text)
{
	tuf_feed(tuf, text ? TUF_ANSWER_OK : TUF_ANSWER_ABSENT, text, text ? strlen(text) : 0);
}

static inline void keep(struct tuf *tuf, const struct tuf_want *want)
{
	char *text = strndup(want->bytes, want->len);

	assert_non_null(text);
	put(&store, want->kind == TUF_KEEP ? want->name : want->target->path, text);
	free(text);
	tuf_feed(tuf, TUF_ANSWER_OK, NULL, 0);
}

/* Answer whatever is wanted; gives how it ended. */
static inline enum tuf_want_kind drive(struct tuf *tuf)
{
	for (int steps = 0; steps < 1000; steps++) {
		const struct tuf_want *want = tuf_next(tuf);

		if (want->kind == TUF_LOAD)
			answer(tuf, get(&store, want->name));
		else if (want->kind == TUF_FETCH || want->kind == TUF_FETCH_FILE)
			answer(tuf, get(&server, want->url));
		else if (want->kind == TUF_KEEP || want->kind == TUF_KEEP_FILE)
			keep(tuf, want);
		else
			return want->kind;
	}
	fail_msg("no end");
	return TUF_FAILED;
}

static inline void forget_but_root(void)
{
	char *root = strdup(get(&store, "root.json"));

	forget(&store);
	put(&store, "root.json", root);
	free(root);
}

#endif
