/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace list: the connections that are live now. */
#include "cli/cli.h"
#include "cli/records.h"
#include "common/client.h"

#define ANSWER_WAIT_MS 5000

int cli_list(const struct cli_options *options)
{
	static struct client client;
	static struct records records;
	int next = 1;
	int code = records_open(&records, &client, "list", options, ASK_LIST);

	if (code != CLI_OK)
		return code;
	while (next == 1 && !records.done && !records.unheard)
		next = client_next(&client, &records_table, &records, ANSWER_WAIT_MS);
	client_close(&client);
	if (next != 1)
		client_explain_end(records.command, next);
	return next != 1 || records.failed ? CLI_FAILED : CLI_OK;
}
