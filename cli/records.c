/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/records.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/cgroupfs.h"
#include "common/log.h"
#include "common/loop.h"
#include "record/clock.h"
#include "record/decode.h"
#include "record/json.h"
#include "record/table.h"

#define CGROUPS_MAX 8192u

static int format_json(struct records *records, const struct event *event, char *out, size_t cap)
{
	const struct json_context context = {
		.offset_ns = records->offset_ns,
		.cgroup = cgroups_find(&records->cgroups, event->cgroup_id, loop_now_ms()),
	};

	return json_event(event, &context, out, cap);
}

static void print_event(struct records *records, const struct event *event)
{
	char line[JSON_LINE_MAX > TABLE_LINE_MAX ? JSON_LINE_MAX : TABLE_LINE_MAX];
	int len = records->json ? format_json(records, event, line, sizeof(line))
				: table_event(event, records->offset_ns, line);

	if (len > 0 && fwrite(line, 1, (size_t)len, stdout) != (size_t)len)
		records->unheard = true;
}

static int on_records(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct records *records = ctx;
	const struct msg_records *part = &msg->records;

	(void)fds;
	if (part->len_bytes % sizeof(struct event))
		return -EPROTO;
	for (uint32_t at = 0; at < part->len_bytes; at += (uint32_t)sizeof(struct event)) {
		struct event event;

		if (decode_event(part->data + at, sizeof(event), &event) != DECODE_OK)
			return -EPROTO;
		print_event(records, &event);
	}
	if (fflush(stdout) != 0)
		records->unheard = true;
	return 0;
}

static int on_done(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct records *records = ctx;

	(void)fds;
	records->done = true;
	if (msg->done.ok)
		return 0;
	records->failed = true;
	client_refused(records->command, &msg->done);
	return 0;
}

const struct dispatch_table records_table = {
	.self = ROLE_CLI,
	.handlers =
		{
			[MSG_RECORDS] = on_records,
			[MSG_DONE] = on_done,
		},
};

int records_open(struct records *records, struct client *client, const char *command,
		 const struct cli_options *options, enum ask ask)
{
	char header[TABLE_LINE_MAX];
	int err;

	memset(records, 0, sizeof(*records));
	records->command = command;
	records->json = options->json;
	records->offset_ns = clock_offset_ns();
	/* Without memory for them they stay unknown. */
	(void)cgroups_open(&records->cgroups, options->json ? cgroupfs_open() : -1, CGROUPS_MAX,
			   false, loop_now_ms());
	/* A reader that goes away is seen as an error of standard output. */
	(void)signal(SIGPIPE, SIG_IGN);
	err = client_open(client, options->socket, ask);
	if (err) {
		client_explain(client, err);
		return CLI_NO_DAEMON;
	}
	if (!options->json &&
	    (table_header(header) < 0 || fputs(header, stdout) == EOF || fflush(stdout) != 0))
		records->unheard = true;
	return CLI_OK;
}
