/* SPDX-License-Identifier: Apache-2.0 */
/* sign, refresh: signatures alone. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/wholefile.h"
#include "repo/repo.h"
#include "tuf/json.h"

static int sign_role(struct repo *repo, const char *role)
{
	json_t *whole, *body, *signatures;
	int err;

	if (!repo_is_role_name(role) || !repo_is_staged(repo, role)) {
		log_error("%s: nothing waits for signatures: there is no staged/%s.json", role,
			  role);
		return -1;
	}
	whole = repo_latest(repo, role);
	body = json_incref(json_object_get(whole, "signed"));
	signatures = json_incref(json_object_get(whole, "signatures"));
	json_decref(whole);
	err = repo_submit(repo, role, body, signatures);
	return err || repo_is_staged(repo, role) ? err : repo_settle(repo);
}

static int replace_file(const char *path, const char *text)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int fd, err;

	if (snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		     slash ? path : ".") >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = wholefile_write(fd, slash ? slash + 1 : path, text, strlen(text), 0644);
	close(fd);
	return err;
}

static int write_whole(const char *path, const json_t *whole)
{
	char *text = json_dumps(whole, JSON_INDENT(1));
	int err = text ? replace_file(path, text) : -ENOMEM;

	free(text);
	if (err)
		log_error("%s: can't be written: %s", path, strerror(-err));
	return err ? -1 : 0;
}

/* A file away from its repository: each key that was named signs it. */
static int sign_file(const struct repo_options *options)
{
	static struct keyring ring;
	struct tuf_why why = {.text = "can't be read"};
	json_t *whole = NULL;
	char *bytes;
	size_t len;
	int err = wholefile_read(AT_FDCWD, options->file, TUF_TARGETS_MAX, &bytes, &len);

	if (!err)
		err = tuf_json_parse(bytes, len, &whole, &why) == TUF_OK ? 0 : -1;
	free(bytes);
	if (err || !json_is_object(json_object_get(whole, "signed")) ||
	    !json_is_array(json_object_get(whole, "signatures"))) {
		log_error("%s: %s", options->file, err ? why.text : "not signed metadata");
		err = -1;
	}
	for (size_t i = 0; i < options->keys.count && !err; i++)
		err = keyring_read(&ring, options->keys.list[i], 1);
	for (size_t i = 0; i < ring.count && !err; i++)
		err = repo_add_signature(whole, &ring.list[i]);
	if (!err)
		err = write_whole(options->file, whole);
	json_decref(whole);
	keyring_free(&ring);
	return err ? REPO_FAILED : REPO_DONE;
}

int repo_sign(const struct repo_options *options)
{
	struct repo repo;
	int err;

	if (options->file)
		return sign_file(options);
	err = repo_open(&repo, options, false);
	if (!err)
		err = sign_role(&repo, options->arguments.list[0]);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}

int repo_refresh_command(const struct repo_options *options)
{
	struct repo repo;
	int err = repo_open(&repo, options, false);

	if (!err)
		err = repo_refresh(&repo, true);
	repo_close(&repo);
	return repo_exit_code(&repo, err);
}
