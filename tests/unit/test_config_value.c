/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "verifier/schema.h"
#include "verifier/values.h"

/* What the text makes of the key, as the command shows it. */
static const char *shown(const char *path, const char *text)
{
	static char value[CONFIG_VALUE_MAX];
	const struct schema_text local = {.name = "a.yaml", .text = text, .len = strlen(text)};
	static struct config_origins origins;
	static struct errors errors;
	static struct config config;

	if (schema_check(&local, NULL, 0, &config, &origins, &errors) != 0)
		fail_msg("%s: %s", text, errors.list[0].reason);
	config_value(schema_find_key(path), &config, value);
	return value;
}

static void test_config_value_shows_a_default_as_the_table_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; schema_key_at(i); i++) {
		const struct schema_key *key = schema_key_at(i);

		const char *value = shown(key->path, "");
		uint64_t ms, default_ms;

		if (key->type != SCHEMA_DURATION) {
			assert_string_equal(value, key->fallback ? key->fallback : "none");
			continue;
		}
		/* 60s is shown as 1m. */
		assert_true(value_duration(value, &ms));
		assert_true(value_duration(key->fallback, &default_ms));
		assert_int_equal(ms, default_ms);
	}
}

static void test_config_value_shows_what_was_written(void **state)
{
	(void)state;
	assert_string_equal(shown("tracer", "tracer: kprobe"), "kprobe");
	assert_string_equal(shown("snapshot_interval", "snapshot_interval: 90s"), "90s");
	assert_string_equal(shown("snapshot_interval", "snapshot_interval: 60s"), "1m");
	assert_string_equal(shown("snapshot_interval", "snapshot_interval: 1h"), "1h");
	assert_string_equal(shown("snapshot_interval", "snapshot_interval: 1500ms"), "1500ms");
	assert_string_equal(shown("memory_budget", "memory_budget: 1GiB"), "1GiB");
	assert_string_equal(shown("memory_budget", "memory_budget: 1536KiB"), "1536KiB");
	assert_string_equal(shown("families", "families: [ipv6]"), "[ipv6]");
	assert_string_equal(shown("output.path", "output: {path: /a b}"), "/a b");
	assert_string_equal(shown("records.open", "records: {open: true}"), "true");
	assert_string_equal(shown("source.url", "source: {url: 'https://a/b', root: /r}"),
			    "https://a/b");
	assert_string_equal(shown("source.host", "source: {host: web1}"), "web1");
	assert_string_equal(shown("source.groups", "source: {groups: [a, b]}"), "[a, b]");
	assert_string_equal(shown("filters", "filters: [exclude: all]"), "1, see below");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_value_shows_a_default_as_the_table_has_it),
		cmocka_unit_test(test_config_value_shows_what_was_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
