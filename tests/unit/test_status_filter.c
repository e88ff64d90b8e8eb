/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/status.h"
#include "verifier/schema.h"

/* What a text says, in the words that status has for it. */
static void expect(const char *text, const char *words)
{
	char yaml[512], out[STATUS_FILTER_MAX];
	struct schema_text local = {.name = "conntrace.yaml", .text = yaml};
	struct errors errors;
	struct config config;
	struct config_origins origins;

	local.len = (size_t)snprintf(yaml, sizeof(yaml), "filters: [%s]", text);
	if (schema_check(&local, NULL, 0, &config, &origins, &errors) != 0)
		fail_msg("refused: %s", errors.list[0].reason);
	assert_int_equal(config.filter_count, 1);
	status_filter(&config.filters[0], out);
	assert_string_equal(out, words);
}

static void test_status_filter_says_each_condition(void **state)
{
	(void)state;
	expect("exclude: all", "exclude all");
	expect("include: all", "include all");
	expect("exclude: {cidr: 10.0.0.0/8}", "exclude 10.0.0.0/8");
	expect("exclude: {cidr: 0.0.0.0/0}", "exclude 0.0.0.0/0");
	expect("exclude: {cidr: '2001:db8::/32'}", "exclude 2001:db8::/32");
	expect("exclude: {port: 22}", "exclude port 22");
	expect("exclude: {port: 65535}", "exclude port 65535");
	expect("exclude: {port: 1-65535}", "exclude port 1-65535");
	expect("include: {protocol: tcp}", "include protocol tcp");
	expect("include: {protocol: udp}", "include protocol udp");
	expect("exclude: {cgroup: /}", "exclude cgroup /");
	expect("include: {sample: 100}", "include all sample 100");
	expect("include: {sample: 5, cgroup: /a.slice, protocol: udp, port: 53, cidr: 192.0.2.1}",
	       "include 192.0.2.1/32 port 53 protocol udp cgroup /a.slice sample 5");
}

static void test_status_filter_has_room_for_the_longest(void **state)
{
	char path[CONFIG_PATH_MAX], text[512], words[512];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	snprintf(text, sizeof(text),
		 "include: {cidr: '1111:2222:3333:4444:5555:6666:7777:8888', port: 10000-20000, "
		 "protocol: tcp, sample: 1000000, cgroup: %s}",
		 path);
	snprintf(words, sizeof(words),
		 "include 1111:2222:3333:4444:5555:6666:7777:8888/128 port 10000-20000 protocol "
		 "tcp cgroup %s sample 1000000",
		 path);
	expect(text, words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_filter_says_each_condition),
		cmocka_unit_test(test_status_filter_has_room_for_the_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
