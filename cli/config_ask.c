/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/safe.h"
#include "common/client.h"

#define ANSWER_WAIT_MS 5000

int config_print(const char *command, struct jsonbuf *json, int code)
{
	jsonbuf_newline(json);
	if (!json->full && fwrite(json->out, 1, json->len, stdout) == json->len &&
	    fflush(stdout) == 0)
		return code;
	fprintf(stderr, "conntrace: %s: standard output: %s\n", command,
		strerror(json->full ? EMSGSIZE : errno));
	return CLI_FAILED;
}

static int on_answer(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct config_answer *answer = ctx;

	(void)fds;
	answer->came = true;
	answer->msg = *msg;
	return 0;
}

static int on_done(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct config_answer *answer = ctx;

	(void)fds;
	answer->refused = true;
	client_refused(answer->command, &msg->done);
	return 0;
}

static const struct dispatch_table table = {
	.self = ROLE_CLI,
	.handlers = {[MSG_HISTORY] = on_answer, [MSG_IN_FORCE] = on_answer, [MSG_DONE] = on_done},
};

int config_ask(const struct cli_options *options, enum ask ask, struct config_answer *answer)
{
	static struct client client;
	int err = client_open(&client, options->socket, ask), next;

	if (err) {
		client_explain(&client, err);
		return CLI_NO_DAEMON;
	}
	next = client_next(&client, &table, answer, ANSWER_WAIT_MS);
	client_close(&client);
	if (next == 1)
		return answer->refused ? CLI_FAILED : CLI_OK;
	client_explain_end(answer->command, next);
	return CLI_FAILED;
}
