/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace tail: the records as they come, until interrupted. */
#include <errno.h>
#include <signal.h>

#include "cli/cli.h"
#include "cli/records.h"
#include "common/client.h"

/* A signal just before the wait begins is seen after this long. */
#define LOOK_UP_MS 500

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int cli_tail(const struct cli_options *options)
{
	static struct client client;
	static struct records records;
	int next = 1;
	int code = records_open(&records, &client, "tail", options, ASK_TAIL);

	if (code != CLI_OK)
		return code;
	catch_signals();
	while (!interrupted && !records.done && !records.unheard &&
	       (next == 1 || next == -EAGAIN || next == -EINTR))
		next = client_next(&client, &records_table, &records, LOOK_UP_MS);
	client_close(&client);
	if (interrupted || records.unheard)
		return CLI_OK;
	if (!records.done)
		client_explain_end(records.command, next);
	return !records.done || records.failed ? CLI_FAILED : CLI_OK;
}
