/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace config show: what is in force, and which file each value comes from. */
#include <errno.h>
#include <stdio.h>

#include "cli/config.h"
#include "cli/safe.h"
#include "cli/status.h"
#include "common/put.h"

#define COMMAND  "config show"
#define JSON_MAX 65536u

/* Where a value comes from; a number of no text is what only another version could send. */
static const char *origin_kind(uint32_t number)
{
	return number == 0 ? "default" : number == 1 ? "local" : "source";
}

static const char *origin_file(const struct config_origins *origins, uint32_t number)
{
	return number && number <= origins->text_count ? origins->texts[number - 1].name : "";
}

static void put_origin(struct jsonbuf *json, const struct config_origins *origins, uint32_t number)
{
	put_text(json, "from", origin_kind(number));
	put_text(json, "file", origin_file(origins, number));
}

static void put_keys(struct jsonbuf *json, const struct msg_in_force *shown)
{
	char value[CONFIG_VALUE_MAX];

	jsonbuf_key(json, "keys");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; schema_key_at(i) && i < shown->origins.key_count; i++) {
		const struct schema_key *key = schema_key_at(i);

		if (key->type == SCHEMA_FILTERS)
			continue;
		config_value(key, &shown->config, value);
		jsonbuf_open(json, '{');
		put_text(json, "key", key->path);
		put_text(json, "value", value);
		put_origin(json, &shown->origins, shown->origins.keys[i]);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

static void put_filter_list(struct jsonbuf *json, const struct msg_in_force *shown)
{
	char filter[STATUS_FILTER_MAX];

	jsonbuf_key(json, "filters");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < shown->config.filter_count; i++) {
		status_filter(&shown->config.filters[i], filter);
		jsonbuf_open(json, '{');
		put_text(json, "filter", filter);
		put_origin(json, &shown->origins, shown->origins.filters[i]);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

static int print_json(const struct msg_in_force *shown)
{
	static char text[JSON_MAX];
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	put_number(&json, "version", shown->version);
	put_keys(&json, shown);
	put_filter_list(&json, shown);
	jsonbuf_close(&json, '}');
	return config_print(COMMAND, &json, CLI_OK);
}

static void print_origin(const struct config_origins *origins, uint32_t number)
{
	const char *file = origin_file(origins, number);

	printf("%s%s%s\n", origin_kind(number), file[0] ? " " : "", safe(file));
}

static int print_text(const struct msg_in_force *shown)
{
	char value[CONFIG_VALUE_MAX], filter[STATUS_FILTER_MAX];

	printf("configuration %u\n  %-18s %-32s %s\n", shown->version, "KEY", "VALUE", "FROM");
	for (uint32_t i = 0; schema_key_at(i) && i < shown->origins.key_count; i++) {
		const struct schema_key *key = schema_key_at(i);

		config_value(key, &shown->config, value);
		printf("  %-18s %-32s ", key->path, safe(value));
		print_origin(&shown->origins, shown->origins.keys[i]);
	}
	for (uint32_t i = 0; i < shown->config.filter_count; i++) {
		status_filter(&shown->config.filters[i], filter);
		printf("%s  %2u %-48s ", i ? "" : "\nfilters\n", i + 1, safe(filter));
		print_origin(&shown->origins, shown->origins.filters[i]);
	}
	return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

int cli_config_show(const struct cli_options *options)
{
	static struct config_answer answer = {.command = COMMAND};
	int code = config_ask(options, ASK_CONFIG, &answer);

	if (code != CLI_OK)
		return code;
	return options->json ? print_json(&answer.msg.in_force) : print_text(&answer.msg.in_force);
}
