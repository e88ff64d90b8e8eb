/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-verifier: one process per check. Takes texts that nobody trusts, answers with a typed
 * configuration or with what is wrong, and is gone.
 */
#include <errno.h>
#include <stdbool.h>
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

/* Bytes of all parts; more than CONFIG_TEXTS_MAX if any of them is too long. */
static size_t parts_len(const struct msg_check *check)
{
	size_t len = 0;

	for (uint32_t i = 0; i < check->part_count; i++) {
		if (check->parts[i].len_bytes > CONFIG_TEXT_MAX)
			return SIZE_MAX;
		len += check->parts[i].len_bytes;
	}
	return len;
}

static bool is_within_bounds(const struct msg_check *check, uint32_t fd_count)
{
	size_t len = parts_len(check);

	return check->local.len_bytes <= CONFIG_TEXT_MAX && len <= CONFIG_TEXTS_MAX &&
	       check->local.len_bytes + len <= CONFIG_TEXTS_MAX &&
	       fd_count == (check->part_count ? 2u : 1u);
}

/* Names stay the message's, which lives as long as its handler runs. */
static int request_open(struct request *request, const struct msg_check *check,
			const struct dispatch_fds *fds)
{
	size_t at = 0;
	int err = memfd_read(fds->fds[0], check->local.len_bytes, &request->local_bytes);

	if (!err && check->part_count)
		err = memfd_read(fds->fds[1], parts_len(check), &request->part_bytes);
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
	const struct request *request = &verifier->request;
	struct msg_checked *checked = &verifier->checked;
	int err = schema_check(&request->local, request->parts, request->part_count,
			       &checked->config, &verifier->errors);

	if (err && err != -EINVAL)
		return err;
	checked->valid = err ? 0 : 1;
	checked->error_count = verifier->errors.count;
	memcpy(checked->errors, verifier->errors.list, sizeof(checked->errors));
	return child_send(&verifier->child, MSG_CHECKED, checked, NULL, 0);
}

static int on_check(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct verifier *verifier = ctx;
	int err;

	if (!is_within_bounds(&msg->check, fds->count))
		return -EPROTO;
	err = request_open(&verifier->request, &msg->check, fds);
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
