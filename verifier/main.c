/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-verifier: one process per check. Takes texts that nobody trusts, answers with a typed
 * configuration or with what is wrong, and is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/child.h"
#include "common/memfd.h"
#include "verifier/sandbox.h"
#include "verifier/schema.h"
#include "verifier/signed.h"
#include "verifier/signed_rc.h"

/* The texts of one CHECK: blocks of memory, and where each text lies in them. */
struct request {
	char *local_bytes;
	char *part_bytes[CHECK_PARTS_MAX]; /* of texts the first is all of them */
	struct schema_text local;
	struct schema_text parts[MSG_PARTS_MAX];
	uint32_t part_count;
};

struct verifier {
	struct child child;
	struct request request;
	struct errors errors;
	struct msg_checked checked;
	struct signed_result result;
};

/* The first text that is too long to be looked at, or the one that goes beyond all together. */
static const struct schema_text *too_long(const struct request *request)
{
	uint64_t len = request->local.len;

	if (len > CONFIG_TEXT_MAX)
		return &request->local;
	for (uint32_t i = 0; i < request->part_count; i++) {
		len += request->parts[i].len;
		if (request->parts[i].len > CONFIG_TEXT_MAX || len > CONFIG_TEXTS_MAX)
			return &request->parts[i];
	}
	return NULL;
}

/* Names stay the message's, which lives as long as its handler runs. */
static void name_texts(struct request *request, const struct msg_check *check)
{
	request->local = (struct schema_text){
		.name = check->local.name, .text = "", .len = check->local.len_bytes};
	if (check->kind != CANDIDATE_TEXTS)
		return;
	request->part_count = check->part_count;
	for (uint32_t i = 0; i < check->part_count; i++)
		request->parts[i] = (struct schema_text){.name = check->parts[i].name,
							 .len = check->parts[i].len_bytes};
}

static int read_texts(struct request *request, const struct dispatch_fds *fds)
{
	size_t sum = 0, at = 0;
	int err;

	for (uint32_t i = 0; i < request->part_count; i++)
		sum += request->parts[i].len;
	if (!request->part_count)
		return 0;
	err = memfd_read(fds->fds[1], sum, &request->part_bytes[0]);
	for (uint32_t i = 0; i < request->part_count && !err; i++) {
		request->parts[i].text = request->part_bytes[0] + at;
		at += request->parts[i].len;
	}
	return err;
}

static void request_close(struct request *request)
{
	free(request->local_bytes);
	for (int i = 0; i < CHECK_PARTS_MAX; i++)
		free(request->part_bytes[i]);
	memset(request, 0, sizeof(*request));
}

/* --- signed configuration --- */

static struct signed_bytes bytes_of(const struct verifier *verifier, const struct msg_check *check,
				    enum msg_check_part part)
{
	return (struct signed_bytes){.bytes = verifier->request.part_bytes[part],
				     .len_bytes = check->parts[part].len_bytes};
}

static int read_signed(struct verifier *verifier, const struct msg_check *check,
		       const struct dispatch_fds *fds, const struct config_source *source)
{
	struct signed_input input = {.offline = check->part_count <= CHECK_BUNDLE,
				     .now_s = (int64_t)check->now_s};
	struct request *request = &verifier->request;
	struct signed_result *result = &verifier->result;
	int err = 0;

	for (uint32_t i = 0; i < check->part_count && !err; i++)
		err = memfd_read(fds->fds[1 + i], check->parts[i].len_bytes,
				 &request->part_bytes[i]);
	if (err)
		return err;
	input.root = bytes_of(verifier, check, CHECK_ROOT);
	input.store = bytes_of(verifier, check, CHECK_STORE);
	if (!input.offline)
		input.bundle = bytes_of(verifier, check, CHECK_BUNDLE);
	err = source->rc[0] ? signed_rc_verify(&input, result)
			    : signed_verify(&input, source, result);
	memcpy(request->parts, result->parts, sizeof(result->parts));
	request->part_count = result->part_count;
	return err;
}

/* What was fetched and can't be believed is an error; what is stored and can't be is left out. */
static void tell_trust(struct verifier *verifier, const struct msg_check *check)
{
	struct msg_signed *told = &verifier->result.told;
	const struct msg_error *first = &verifier->errors.list[0];

	if (told->trust == TRUST_accepted && verifier->errors.total) {
		told->trust = TRUST_invalid;
		snprintf(told->why, sizeof(told->why), "%.60s:%u: %.180s", first->file, first->line,
			 first->reason);
	} else if (told->trust != TRUST_none && told->trust != TRUST_accepted &&
		   check->part_count > CHECK_BUNDLE) {
		verifier->errors.file = "source";
		errors_add(&verifier->errors, 0, "%s", told->why);
	}
}

static int send_files(struct verifier *verifier)
{
	const struct signed_result *result = &verifier->result;
	const char *bundle = verifier->request.part_bytes[CHECK_BUNDLE];
	static struct msg_keep keep;
	int err = 0;

	memset(&keep, 0, sizeof(keep));
	for (uint32_t i = 0; i < result->file_count && !err; i++) {
		const struct signed_file *from = &result->files[i];
		struct msg_file *to = &keep.files[keep.file_count++];

		memcpy(to->name, from->name, sizeof(to->name));
		to->why = from->why;
		to->offset = from->bytes ? (uint32_t)(from->bytes - bundle) : 0;
		to->len_bytes = (uint32_t)from->len_bytes;
		if (keep.file_count == MSG_FILES_MAX) {
			err = child_send(&verifier->child, MSG_KEEP, &keep, NULL, 0);
			memset(&keep, 0, sizeof(keep));
		}
	}
	return !err && keep.file_count ? child_send(&verifier->child, MSG_KEEP, &keep, NULL, 0)
				       : err;
}

/* --- a check --- */

static int answer(struct verifier *verifier)
{
	struct msg_checked *checked = &verifier->checked;
	int err = send_files(verifier);

	if (err)
		return err;
	checked->valid = verifier->errors.total ? 0 : 1;
	checked->error_count = verifier->errors.count;
	memcpy(checked->errors, verifier->errors.list, sizeof(checked->errors));
	checked->signature = verifier->result.told;
	return child_send(&verifier->child, MSG_CHECKED, checked, NULL, 0);
}

static int check_texts(struct verifier *verifier, uint32_t part_count)
{
	const struct request *request = &verifier->request;
	int err =
		schema_check(&request->local, request->parts, part_count, &verifier->checked.config,
			     &verifier->checked.origins, &verifier->errors);

	return err == -EINVAL ? 0 : err;
}

/* Not a fault of the sender's: somebody wrote a long file. The others are named. */
static int refuse_length(struct verifier *verifier, const struct schema_text *text)
{
	struct request *request = &verifier->request;
	const char *name = text->name;
	int err;

	request->local.text = "";
	request->local.len = 0;
	for (uint32_t i = 0; i < request->part_count; i++)
		request->parts[i] =
			(struct schema_text){.name = request->parts[i].name, .text = ""};
	err = check_texts(verifier, request->part_count);
	verifier->errors.file = name;
	errors_add(&verifier->errors, 0, "longer than %u bytes, or than %u with the others",
		   CONFIG_TEXT_MAX, CONFIG_TEXTS_MAX);
	return err;
}

/* The local text says for whom, and whether at all: it goes first, alone. */
static int handle_signed(struct verifier *verifier, const struct msg_check *check,
			 const struct dispatch_fds *fds)
{
	struct config *config = &verifier->checked.config;
	struct config_source source;
	int err = check_texts(verifier, 0);

	if (err || verifier->errors.total || !config_signed_place(&config->source)[0])
		return err;
	source = config->source;
	if (!source.host[0])
		memcpy(source.host, check->host, sizeof(source.host));
	err = read_signed(verifier, check, fds, &source);
	if (!err && too_long(&verifier->request))
		err = refuse_length(verifier, too_long(&verifier->request));
	else if (!err)
		err = check_texts(verifier, verifier->request.part_count);
	return err;
}

static int handle(struct verifier *verifier, const struct msg_check *check,
		  const struct dispatch_fds *fds)
{
	struct request *request = &verifier->request;
	struct config_source *source = &verifier->checked.config.source;
	int err;

	name_texts(request, check);
	if (too_long(request))
		return refuse_length(verifier, too_long(request));
	err = memfd_read(fds->fds[0], check->local.len_bytes, &request->local_bytes);
	if (err)
		return err;
	request->local.text = request->local_bytes;
	if (check->kind == CANDIDATE_BUNDLE)
		err = handle_signed(verifier, check, fds);
	else
		err = read_texts(request, fds);
	if (!err && check->kind == CANDIDATE_TEXTS)
		err = check_texts(verifier, request->part_count);
	tell_trust(verifier, check);
	if ((source->url[0] || source->report[0]) && !source->host[0])
		memcpy(source->host, check->host, sizeof(source->host));
	return err;
}

/* How many fds come with a CHECK. */
static uint32_t fds_of(const struct msg_check *check)
{
	if (check->kind == CANDIDATE_BUNDLE)
		return 1 + check->part_count;
	return check->part_count ? 2 : 1;
}

static int on_check(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct verifier *verifier = ctx;
	int err;

	if (fds->count != fds_of(&msg->check) ||
	    (msg->check.kind == CANDIDATE_BUNDLE && msg->check.part_count < CHECK_BUNDLE))
		return -EPROTO;
	err = handle(verifier, &msg->check, fds);
	if (!err)
		err = answer(verifier);
	request_close(&verifier->request);
	if (err == -EPROTO)
		return err;
	if (err)
		child_fail(&verifier->child, 0, EX_OSERR, "check: %s", strerror(-err));
	verifier->child.loop.stop = true;
	return 0;
}

static const struct dispatch_table table = {
	.self = ROLE_VERIFIER,
	.handlers = {[MSG_CHECK] = on_check},
};

int main(void)
{
	static struct verifier verifier;
	int err = child_init(&verifier.child, ROLE_VERIFIER, &table, &verifier, 0);

	if (!err) {
		err = tuf_process_init();
		if (err)
			child_fail(&verifier.child, 0, EX_OSERR, "libraries: %s", strerror(-err));
	}
	if (!err) {
		err = sandbox_enter();
		if (err)
			child_fail(&verifier.child, 0, EX_OSERR, "sandbox: %s", strerror(-err));
	}
	return child_run(&verifier.child);
}
