/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keys.h"

#include <string.h>

#define LOCAL SCHEMA_LOCAL
#define BOTH  (SCHEMA_LOCAL | SCHEMA_SOURCE)
#define AT(m) offsetof(struct config, m)

static const char *const families[] = {"ipv4", "ipv6", NULL};
static const char *const output[] = {"-", NULL};
static const char *const nothing[] = {NULL};

_Static_assert(FAMILY_IPV4 == 1u << 0 && FAMILY_IPV6 == 1u << 1, "schema: families");

/* clang-format off */
static const struct schema_key keys[] = {
	/* path, type, who may set it, member, default, least, most, among */
	{"tracer", SCHEMA_CHOICE, LOCAL, AT(tracer), "auto", NULL, NULL, config_tracers},
	{"instance", SCHEMA_CHOICE, LOCAL, AT(instance), "auto", NULL, NULL, config_instances},
	{"btf", SCHEMA_PATH, LOCAL, AT(btf_path), NULL, NULL, NULL, nothing},
	{"families", SCHEMA_FAMILIES, BOTH, AT(families), "[ipv4, ipv6]", NULL, NULL, families},
	{"snapshot_interval", SCHEMA_DURATION, BOTH, AT(snapshot_interval_ms),
	 "10s", "100ms", "1h", NULL},
	{"records.open", SCHEMA_FLAG, BOTH, AT(record_open), "false", NULL, NULL, NULL},
	{"filters", SCHEMA_FILTERS, BOTH, AT(filters), "[]", NULL, NULL, NULL},
	{"nat", SCHEMA_FLAG, LOCAL, AT(nat), "false", NULL, NULL, NULL},
	{"memory_budget", SCHEMA_BUDGET, LOCAL, 0, "32MiB", "1MiB", "1GiB", NULL},
	{"output.format", SCHEMA_CHOICE, LOCAL, AT(output_format),
	 "auto", NULL, NULL, config_formats},
	{"output.path", SCHEMA_PATH, LOCAL, AT(output_path), "\"-\"", NULL, NULL, output},
	{"source.dir", SCHEMA_PATH, LOCAL, AT(source.dir), NULL, NULL, NULL, nothing},
	{"source.url", SCHEMA_URL, LOCAL, AT(source.url), NULL, NULL, NULL, NULL},
	{"source.rc", SCHEMA_AGENT, LOCAL, AT(source.rc), NULL, NULL, NULL, NULL},
	{"source.root", SCHEMA_PATH, LOCAL, AT(source.root), NULL, NULL, NULL, nothing},
	{"source.ca", SCHEMA_PATH, LOCAL, AT(source.ca), NULL, NULL, NULL, nothing},
	{"source.report", SCHEMA_REPORT, LOCAL, AT(source.report), NULL, NULL, NULL, NULL},
	{"source.groups", SCHEMA_LABELS, LOCAL, AT(source.groups), "[]", NULL, NULL, NULL},
	{"source.host", SCHEMA_LABEL, LOCAL, AT(source.host), NULL, NULL, NULL, NULL},
	{"source.interval", SCHEMA_DURATION, LOCAL, AT(source.interval_ms),
	 "60s", "100ms", "24h", NULL},
	{"source.probation", SCHEMA_DURATION, LOCAL, AT(probation_ms),
	 "60s", "100ms", "1h", NULL},
};
/* clang-format on */

#define KEYS (sizeof(keys) / sizeof(keys[0]))

_Static_assert(KEYS <= CONFIG_KEYS_MAX, "keys: room for their origins");

const struct schema_key *schema_key_at(size_t index)
{
	return index < KEYS ? &keys[index] : NULL;
}

const struct schema_key *schema_find_key(const char *path)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].path, path) == 0)
			return &keys[i];
	return NULL;
}

uint32_t schema_key_index(const struct schema_key *key)
{
	return (uint32_t)(key - keys);
}
