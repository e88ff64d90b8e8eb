/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/config.h"

struct unit {
	uint32_t size;
	const char *name;
};

/* The largest unit of which it is a whole number; the last one is 1. */
static void put_scaled(uint32_t number, const struct unit *units, char *out)
{
	while (number % units->size)
		units++;
	snprintf(out, CONFIG_VALUE_MAX, "%u%s", number / units->size, units->name);
}

static uint32_t number_of(const struct schema_key *key, const struct config *config)
{
	uint32_t number;

	memcpy(&number, (const char *)config + key->offset, sizeof(number));
	return number;
}

static void put_choice(const struct schema_key *key, const struct config *config, char *out)
{
	snprintf(out, CONFIG_VALUE_MAX, "%s", key->among[number_of(key, config)]);
}

static void put_flag_word(const struct schema_key *key, const struct config *config, char *out)
{
	snprintf(out, CONFIG_VALUE_MAX, "%s", number_of(key, config) ? "true" : "false");
}

static void put_duration(const struct schema_key *key, const struct config *config, char *out)
{
	static const struct unit units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};

	put_scaled(number_of(key, config), units, out);
}

static void put_budget(const struct schema_key *key, const struct config *config, char *out)
{
	static const struct unit units[] = {
		{1u << 30, "GiB"}, {1u << 20, "MiB"}, {1u << 10, "KiB"}, {1, ""}};

	(void)key;
	put_scaled(config->memory_budget, units, out);
}

/* A word that stands for a path is in quotes, as YAML wants it of "-". */
static void put_path(const struct schema_key *key, const struct config *config, char *out)
{
	const char *path = (const char *)config + key->offset;

	snprintf(out, CONFIG_VALUE_MAX, path[0] == '/' ? "%s" : path[0] ? "\"%s\"" : "none", path);
}

static void put_plain(const struct schema_key *key, const struct config *config, char *out)
{
	const char *text = (const char *)config + key->offset;

	snprintf(out, CONFIG_VALUE_MAX, "%s", text[0] ? text : "none");
}

static void put_groups(const struct schema_key *key, const struct config *config, char *out)
{
	const struct config_source *source = &config->source;
	size_t len = (size_t)snprintf(out, CONFIG_VALUE_MAX, "[");

	(void)key;
	for (uint32_t i = 0; i < source->group_count; i++)
		len += (size_t)snprintf(out + len, CONFIG_VALUE_MAX - len, "%s%s", i ? ", " : "",
					source->groups[i].name);
	snprintf(out + len, CONFIG_VALUE_MAX - len, "]");
}

static void put_families(const struct schema_key *key, const struct config *config, char *out)
{
	uint32_t bits = number_of(key, config);
	size_t len = 0;

	for (uint32_t i = 0; key->among[i]; i++)
		if (bits >> i & 1)
			len += (size_t)snprintf(out + len, CONFIG_VALUE_MAX - len, "%s%s",
						len ? ", " : "[", key->among[i]);
	snprintf(out + len, CONFIG_VALUE_MAX - len, "]");
}

static void put_filters(const struct schema_key *key, const struct config *config, char *out)
{
	(void)key;
	snprintf(out, CONFIG_VALUE_MAX, config->filter_count ? "%u, see below" : "[]",
		 config->filter_count);
}

void config_value(const struct schema_key *key, const struct config *config, char *out)
{
	static void (*const put[SCHEMA_TYPE_COUNT])(const struct schema_key *key,
						    const struct config *config, char *out) = {
		[SCHEMA_CHOICE] = put_choice,     [SCHEMA_FLAG] = put_flag_word,
		[SCHEMA_DURATION] = put_duration, [SCHEMA_BUDGET] = put_budget,
		[SCHEMA_PATH] = put_path,         [SCHEMA_FAMILIES] = put_families,
		[SCHEMA_FILTERS] = put_filters,   [SCHEMA_URL] = put_plain,
		[SCHEMA_AGENT] = put_plain,       [SCHEMA_LABEL] = put_plain,
		[SCHEMA_LABELS] = put_groups,     [SCHEMA_REPORT] = put_plain,
	};

	put[key->type](key, config, out);
}
