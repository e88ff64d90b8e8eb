/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-verifier: one process per check. Takes texts that nobody trusts, answers with a typed
 * configuration or with what is wrong, and is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/child.h"
#include "common/memfd.h"
#include "verifier/sandbox.h"
#include "verifier/schema.h"

/* The texts of one CHECK: two blocks of memory, and where each text lies in them. */
struct request {
	char *local_bytes;
	char *part_bytes;
	struct schema_text local;
	struct schema_text parts[MSG_PARTS_MAX];
	uint32_t part_count;
};

struct verifier {
	struct child child;
	struct request request;
	struct errors errors;
	struct msg_checked checked;
};

static uint64_t parts_len(const struct msg_check *check)
{
	uint64_t len = 0;

	for (uint32_t i = 0; i < check->part_count; i++)
		len += check->parts[i].len_bytes;
	return len;
}

/* The first text that is too long to be looked at, or the one that goes beyond all together. */
static const struct msg_part *too_long(const struct msg_check *check)
{
	uint64_t len = check->local.len_bytes;

	if (len > CONFIG_TEXT_MAX)
		return &check->local;
	for (uint32_t i = 0; i < check->part_count; i++) {
		len += check->parts[i].len_bytes;
		if (check->parts[i].len_bytes > CONFIG_TEXT_MAX || len > CONFIG_TEXTS_MAX)
			return &check->parts[i];
	}
	return NULL;
}

/* Names stay the message's, which lives as long as its handler runs. */
static int request_open(struct request *request, const struct msg_check *check,
			const struct dispatch_fds *fds)
{
	size_t at = 0;
	int err = memfd_read(fds->fds[0], check->local.len_bytes, &request->local_bytes);

	if (!err && check->part_count)
		err = memfd_read(fds->fds[1], (size_t)parts_len(check), &request->part_bytes);
	if (err)
		return err;
	request->local = (struct schema_text){.name = check->local.name,
					      .text = request->local_bytes,
					      .len = check->local.len_bytes};
	for (uint32_t i = 0; i < check->part_count; i++) {
		request->parts[i] = (struct schema_text){.name = check->parts[i].name,
							 .text = request->part_bytes + at,
							 .len = check->parts[i].len_bytes};
		at += check->parts[i].len_bytes;
	}
	request->part_count = check->part_count;
	return 0;
}

static void request_close(struct request *request)
{
	free(request->local_bytes);
	free(request->part_bytes);
	memset(request, 0, sizeof(*request));
}

static int answer(struct verifier *verifier)
{
	struct msg_checked *checked = &verifier->checked;

	checked->valid = verifier->errors.total ? 0 : 1;
	checked->error_count = verifier->errors.count;
	memcpy(checked->errors, verifier->errors.list, sizeof(checked->errors));
	return child_send(&verifier->child, MSG_CHECKED, checked, NULL, 0);
}

static int check_texts(struct verifier *verifier)
{
	const struct request *request = &verifier->request;
	int err = schema_check(&request->local, request->parts, request->part_count,
			       &verifier->checked.config, &verifier->checked.origins,
			       &verifier->errors);

	return err == -EINVAL ? 0 : err;
}

/* Not a fault of the sender's: somebody wrote a long file. */
static int refuse_length(struct verifier *verifier, const struct msg_check *check,
			 const struct msg_part *part)
{
	struct request *request = &verifier->request;
	int err;

	request->local = (struct schema_text){.name = check->local.name, .text = ""};
	request->part_count = check->part_count;
	for (uint32_t i = 0; i < check->part_count; i++)
		request->parts[i] = (struct schema_text){.name = check->parts[i].name, .text = ""};
	err = check_texts(verifier);
	verifier->errors.file = part->name;
	errors_add(&verifier->errors, 0, "longer than %u bytes, or than %u with the others",
		   CONFIG_TEXT_MAX, CONFIG_TEXTS_MAX);
	return err;
}

static int handle(struct verifier *verifier, const struct msg_check *check,
		  const struct dispatch_fds *fds)
{
	const struct msg_part *longest = too_long(check);
	int err;

	if (longest)
		return refuse_length(verifier, check, longest);
	err = request_open(&verifier->request, check, fds);
	return err ? err : check_texts(verifier);
}

static int on_check(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct verifier *verifier = ctx;
	int err;

	if (fds->count != (msg->check.part_count ? 2u : 1u))
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
		err = sandbox_enter();
		if (err)
			child_fail(&verifier.child, 0, EX_OSERR, "sandbox: %s", strerror(-err));
	}
	return child_run(&verifier.child);
}
