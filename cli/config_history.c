/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace config history: what became of the last configurations. */
#include <stdio.h>
#include <time.h>

#include "cli/config.h"
#include "cli/safe.h"
#include "cli/status.h"
#include "common/put.h"

#define COMMAND  "config history"
#define JSON_MAX 32768u

static const char *by(const struct msg_history_entry *entry)
{
	return entry->by_source ? "source" : "local";
}

static void put_entry(struct jsonbuf *json, const struct msg_history_entry *entry)
{
	jsonbuf_open(json, '{');
	put_number(json, "time_ns", entry->at_ns);
	put_number(json, "times", entry->times);
	put_text(json, "by", by(entry));
	put_text(json, "verdict", status_verdict(entry->verdict));
	put_number(json, "version", entry->version);
	put_text(json, "reason", entry->reason);
	jsonbuf_close(json, '}');
}

static int print_json(const struct msg_history *history)
{
	static char text[JSON_MAX];
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	jsonbuf_key(&json, "history");
	jsonbuf_open(&json, '[');
	for (uint32_t i = 0; i < history->entry_count; i++)
		put_entry(&json, &history->entries[i]);
	jsonbuf_close(&json, ']');
	jsonbuf_close(&json, '}');
	return config_print(COMMAND, &json, CLI_OK);
}

static int print_text(const struct msg_history *history)
{
	printf("%-19s %-6s %-12s %7s  %s\n", "TIME", "BY", "VERDICT", "VERSION", "REASON");
	for (uint32_t i = 0; i < history->entry_count; i++) {
		const struct msg_history_entry *entry = &history->entries[i];
		time_t seconds = (time_t)(entry->at_ns / 1000000000u);
		char when[32] = "-";
		struct tm tm;

		if (localtime_r(&seconds, &tm))
			(void)strftime(when, sizeof(when), "%F %T", &tm);
		printf("%-19s %-6s %-12s %7u  %s", when, by(entry), status_verdict(entry->verdict),
		       entry->version, safe(entry->reason));
		if (entry->times > 1)
			printf(" (%u times)", entry->times);
		printf("\n");
	}
	return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

int cli_config_history(const struct cli_options *options)
{
	static struct config_answer answer = {.command = COMMAND};
	int code = config_ask(options, ASK_HISTORY, &answer);

	if (code != CLI_OK)
		return code;
	return options->json ? print_json(&answer.msg.history) : print_text(&answer.msg.history);
}
