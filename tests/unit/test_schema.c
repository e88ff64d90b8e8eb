/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"
#include "verifier/schema.h"
#include "verifier/values.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct schema_text text_of(const char *name, const char *text)
{
	return (struct schema_text){.name = name, .text = text, .len = strlen(text)};
}

static int check_local(const char *text, struct config *config, struct errors *errors)
{
	struct schema_text local = text_of("conntrace.yaml", text);
	struct config_origins origins;

	return schema_check(&local, NULL, 0, config, &origins, errors);
}

static struct config valid(const char *text)
{
	struct errors errors;
	struct config config;

	if (check_local(text, &config, &errors) != 0)
		fail_msg("refused: line %u: %s", errors.list[0].line, errors.list[0].reason);
	assert_int_equal(errors.total, 0);
	assert_null(config_inconsistent(&config));
	return config;
}

/* --- what a text says --- */

static void test_schema_says_nothing_means_defaults(void **state)
{
	static const char *const empty[] = {"",
					    "\n",
					    "# only a comment\n",
					    "---\n",
					    "---\n...\n",
					    "{}",
					    "~",
					    "records:\nfilters:\noutput: {}\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(empty); i++) {
		struct config config = valid(empty[i]);

		assert_int_equal(config.tracer, TRACER_AUTO);
		assert_int_equal(config.instance, INSTANCE_AUTO);
		assert_string_equal(config.btf_path, "");
		assert_int_equal(config.families, FAMILY_IPV4 | FAMILY_IPV6);
		assert_int_equal(config.record_open, 0);
		assert_int_equal(config.snapshot_interval_ms, 10000);
		assert_int_equal(config.ring_bytes, 8u << 20);
		assert_int_equal(config.conn_max, 28086);
		assert_int_equal(config.flow_max, 10485);
		assert_int_equal(config.live_max, 32768);
		assert_int_equal(config.nat, 0);
		assert_int_equal(config.nat_max, 15420);
		assert_int_equal(config.output_format, FORMAT_AUTO);
		assert_int_equal(config.source.interval_ms, 60000);
		assert_int_equal(config.probation_ms, 60000);
		assert_string_equal(config.output_path, "-");
		assert_string_equal(config.source.dir, "");
		assert_int_equal(config.filter_count, 0);
	}
}

static void test_schema_reads_every_key(void **state)
{
	struct config config =
		valid("tracer: tracepoint\n"
		      "instance: eks-fargate\n"
		      "btf: /boot/btf\n"
		      "families: [ipv6]\n"
		      "snapshot_interval: 250ms\n"
		      "records:\n  open: true\n"
		      "nat: true\n"
		      "memory_budget: 64MiB\n"
		      "output: {format: json, path: /var/log/records.json}\n"
		      "source: {dir: /etc/conntrace/conf.d, interval: 5m, probation: 90s}\n");

	(void)state;
	assert_int_equal(config.tracer, TRACER_TRACEPOINT);
	assert_int_equal(config.instance, INSTANCE_EKS_FARGATE);
	assert_string_equal(config.btf_path, "/boot/btf");
	assert_int_equal(config.families, FAMILY_IPV6);
	assert_int_equal(config.snapshot_interval_ms, 250);
	assert_int_equal(config.record_open, 1);
	assert_int_equal(config.ring_bytes, 16u << 20);
	assert_int_equal(config.conn_max, 56173);
	assert_int_equal(config.flow_max, 20971);
	assert_int_equal(config.live_max, 65536);
	assert_int_equal(config.nat, 1);
	assert_int_equal(config.nat_buffer_bytes, 4u << 20);
	assert_int_equal(config.output_format, FORMAT_JSON);
	assert_string_equal(config.output_path, "/var/log/records.json");
	assert_string_equal(config.source.dir, "/etc/conntrace/conf.d");
	assert_int_equal(config.source.interval_ms, 300000);
	assert_int_equal(config.probation_ms, 90000);
}

static void test_schema_reads_a_signed_source(void **state)
{
	struct config config = valid("source:\n"
				     "  url: https://config.example:8443/repo/\n"
				     "  root: /etc/conntrace/root.json\n"
				     "  ca: /etc/conntrace/ca.pem\n"
				     "  host: web1.example\n"
				     "  groups: [web, db-1]\n");

	(void)state;
	assert_string_equal(config.source.url, "https://config.example:8443/repo/");
	assert_string_equal(config.source.root, "/etc/conntrace/root.json");
	assert_string_equal(config.source.ca, "/etc/conntrace/ca.pem");
	assert_string_equal(config.source.host, "web1.example");
	assert_int_equal(config.source.group_count, 2);
	assert_string_equal(config.source.groups[1].name, "db-1");
}

static void test_schema_reads_a_local_agent(void **state)
{
	static const char *const places[] = {"http://127.0.0.1:8126", "http://127.1.2.3",
					     "http://localhost:1/", "http://[::1]:65535/",
					     "unix:///run/agent.sock"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct config config;

		snprintf(text, sizeof(text), "source: {rc: '%s', root: /r}", places[i]);
		config = valid(text);
		assert_string_equal(config.source.rc, places[i]);
		assert_string_equal(config_signed_place(&config.source), places[i]);
		assert_true(config_polls(&config));
	}
}

static void test_schema_reads_who_is_told(void **state)
{
	static const char *const places[] = {"https://told.example:8443/a/b",
					     "https://[2001:db8::1]/", "http://127.0.0.1:8080/told",
					     "http://localhost/", "http://[::1]:1/told"};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct config config;

		snprintf(text, sizeof(text), "source: {dir: /a, report: '%s'}", places[i]);
		config = valid(text);
		assert_string_equal(config.source.report, places[i]);
	}
}

static void test_schema_refuses_what_is_no_source(void **state)
{
	static const char *const texts[] = {
		"source: {url: 'https://config.example'}",          /* no root */
		"source: {dir: /a, url: 'file:///b', root: /r}",    /* two of them */
		"source: {url: 'http://config.example', root: /r}", /* plain */
		"source: {url: 'https://', root: /r}",              /* no host */
		"source: {url: 'file://b', root: /r}",              /* relative */
		"source: {url: 'https://a@b/', root: /r}",          /* a password */
		"source: {url: 'https://b/?c', root: /r}",          /* more than a path */
		"source: {rc: 'http://127.0.0.1'}",                 /* no root */
		"source: {rc: 'http://127.0.0.1', url: 'file:///b', root: /r}",
		"source: {rc: 'http://127.0.0.1', dir: /a, root: /r}",
		"source: {rc: 'https://127.0.0.1', root: /r}",
		"source: {rc: 'http://192.0.2.1:80', root: /r}", /* another host */
		"source: {rc: 'http://127.0.0.1.example', root: /r}",
		"source: {rc: 'http://localhost.example', root: /r}",
		"source: {rc: 'http://a@127.0.0.1', root: /r}",
		"source: {rc: 'http://127.0.0.1:', root: /r}",
		"source: {rc: 'http://127.0.0.1:0', root: /r}",
		"source: {rc: 'http://127.0.0.1:65536', root: /r}",
		"source: {rc: 'http://127.0.0.1:8126/x', root: /r}",
		"source: {rc: 'http://[::2]:8126', root: /r}",
		"source: {rc: 'http://[::1', root: /r}",
		"source: {rc: 'unix://a', root: /r}",
		"source: {rc: 'unix:///', root: /r}",
		"source: {report: 'https://a'}",                        /* of nothing */
		"source: {dir: /a, report: 'http://told.example'}",     /* plain */
		"source: {dir: /a, report: 'http://192.0.2.1:80'}",     /* another host */
		"source: {dir: /a, report: 'http://127.0.0.1.x'}",      /* likewise */
		"source: {dir: /a, report: 'http://[::2]/'}",           /* likewise */
		"source: {dir: /a, report: 'http://'}",                 /* no host */
		"source: {dir: /a, report: 'https://'}",                /* no host */
		"source: {dir: /a, report: 'file:///told'}",            /* no server */
		"source: {dir: /a, report: 'unix:///told'}",            /* likewise */
		"source: {dir: /a, report: 'https://a@b/'}",            /* a password */
		"source: {dir: /a, report: 'http://a@localhost/'}",     /* likewise */
		"source: {dir: /a, report: 'http://localhost/?token'}", /* more than a path */
		"source: {groups: [../a]}",                             /* leads elsewhere */
		"source: {groups: [web, web]}",                         /* twice */
		"source: {groups: web}",                                /* no list */
		"source: {host: .hidden}",                              /* a hidden file */
		"source: {host: a/b}",                                  /* two parts */
		"source: {host: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefff}", /* 53 bytes
											  */
		"source: {groups: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}",                 /* 17 */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		const struct schema_text local = text_of("conntrace.yaml", texts[i]);
		struct config_origins origins;
		struct errors errors;
		struct config config;

		if (schema_check(&local, NULL, 0, &config, &origins, &errors) != -EINVAL)
			fail_msg("%s: not refused", texts[i]);
	}
}

static void test_schema_reads_filters(void **state)
{
	struct config config = valid("filters:\n"
				     "  - include: {cidr: 10.1.0.0/16, port: 8000-8999}\n"
				     "  - exclude: {cidr: '2001:db8::/33'}\n"
				     "  - exclude: {port: 22}\n"
				     "  - exclude: {cidr: 192.0.2.1}\n"
				     "  - exclude: all\n");
	struct filter f[5];

	(void)state;
	assert_int_equal(config.filter_count, 5);
	for (uint32_t i = 0; i < 5; i++)
		f[i] = config.filters[i].match;
	assert_int_equal(f[0].action, FILTER_INCLUDE);
	assert_int_equal(f[0].families, FAMILY_IPV4);
	assert_int_equal(f[0].prefix_bits, 16);
	assert_int_equal(f[0].addr[0], htonl(0x0a010000));
	assert_int_equal(f[0].mask[0], htonl(0xffff0000));
	assert_int_equal(f[0].port_low, 8000);
	assert_int_equal(f[0].port_high, 8999);
	assert_int_equal(f[1].families, FAMILY_IPV6);
	assert_int_equal(f[1].prefix_bits, 33);
	assert_int_equal(f[1].addr[0], htonl(0x20010db8));
	assert_int_equal(f[1].mask[1], htonl(0x80000000));
	assert_int_equal(f[1].port_high, UINT16_MAX);
	assert_int_equal(f[2].families, FAMILY_IPV4 | FAMILY_IPV6);
	assert_int_equal(f[2].port_low, 22);
	assert_int_equal(f[2].port_high, 22);
	assert_int_equal(f[3].prefix_bits, 32);
	assert_int_equal(f[4].action, FILTER_EXCLUDE);
	assert_int_equal(f[4].families, FAMILY_IPV4 | FAMILY_IPV6);
	assert_int_equal(f[4].port_high - f[4].port_low, UINT16_MAX);
}

static void test_schema_reads_protocol_cgroup_and_sample(void **state)
{
	struct config config =
		valid("filters:\n"
		      "  - exclude: {protocol: udp}\n"
		      "  - include: {protocol: tcp, cgroup: /system.slice/a b\\x2d.service}\n"
		      "  - exclude: {cgroup: /}\n"
		      "  - exclude: {cgroup: /..a/.b/c.}\n"
		      "  - include: {sample: 1000000}\n");
	const struct config_filter *f = config.filters;

	(void)state;
	assert_int_equal(config.filter_count, 5);
	assert_int_equal(f[0].match.protocols, PROTOCOL_UDP);
	assert_int_equal(f[0].match.by_cgroup, 0);
	assert_string_equal(f[0].cgroup, "");
	assert_int_equal(f[1].match.protocols, PROTOCOL_TCP);
	assert_int_equal(f[1].match.by_cgroup, 1);
	assert_string_equal(f[1].cgroup, "/system.slice/a b\\x2d.service");
	assert_int_equal(f[1].match.sample, 0);
	assert_int_equal(f[2].match.protocols, PROTOCOL_TCP | PROTOCOL_UDP);
	assert_string_equal(f[2].cgroup, "/");
	assert_string_equal(f[3].cgroup, "/..a/.b/c.");
	assert_int_equal(f[4].match.sample, 1000000);
	assert_int_equal(f[4].match.families, FAMILY_IPV4 | FAMILY_IPV6);
	assert_true(config_names_cgroups(&config));
}

static void test_schema_default_budget_is_the_one_of_config_h(void **state)
{
	const struct config defaults = valid("");
	struct config config = defaults;

	(void)state;
	config_apply_budget(CONFIG_BUDGET_DEFAULT, &config);
	assert_memory_equal(&config, &defaults, sizeof(config));
}

/* --- what a text must not say --- */

static const struct refusal {
	const char *text;
	uint32_t line;
	const char *reason; /* a part of it */
} refusals[] = {
	/* values */
	{"\n\nsnapshot_interval: fast\n", 3,
	 "snapshot_interval: \"fast\" is not a duration (a number with ms, s, m or h, from 100ms "
	 "to 1h)"},
	{"snapshot_interval: 10", 1, "is not a duration"},
	{"snapshot_interval: -1s", 1, "is not a duration"},
	{"snapshot_interval: 1.5s", 1, "is not a duration"},
	{"snapshot_interval: 10 s", 1, "is not a duration"},
	{"snapshot_interval: 99999999999999999999s", 1, "is not a duration"},
	{"snapshot_interval: 99ms", 1, "\"99ms\" is out of range"},
	{"snapshot_interval: 61m", 1, "is out of range"},
	{"snapshot_interval: 9999999999h", 1, "is out of range"},
	{"snapshot_interval: [1s]", 1, "is not a duration, as in 10s"},
	{"snapshot_interval:", 1, "has no value"},
	{"source: {interval: 25h}", 1, "from 100ms to 24h"},
	{"memory_budget: 1GB", 1, "is not a size (a number with KiB, MiB or GiB"},
	{"memory_budget: 1023KiB", 1, "is out of range"},
	{"memory_budget: 1025MiB", 1, "is out of range"},
	{"tracer: uprobe", 1, "tracer: \"uprobe\" is not one of: auto, fentry, kprobe, tracepoint"},
	{"instance: fargate", 1,
	 "instance: \"fargate\" is not one of: auto, host, container, kubernetes, ecs-ec2, "
	 "ecs-fargate, eks-fargate"},
	{"instance: [host]", 1, "instance: is not a word"},
	{"btf: vmlinux", 1, "btf: \"vmlinux\" is not an absolute path"},
	{"btf: ''", 1, "btf: \"\" is not an absolute path"},
	{"btf: {path: /boot/btf}", 1, "btf: is not a path"},
	{"output: {format: xml}", 1, "is not one of: auto, json, table"},
	{"output: {path: records.json}", 1, "is not an absolute path or \"-\""},
	{"output: {path: ''}", 1, "is not an absolute path"},
	{"source: {dir: '-'}", 1, "source.dir: \"-\" is not an absolute path"},
	{"records: {open: yes}", 1, "records.open: \"yes\" is not true or false"},
	{"families: []", 1, "families: names none"},
	{"families: ipv4", 1, "is not a list"},
	{"families: [ipv4, ipx]", 1, "\"ipx\" is not one of"},
	{"families: [[ipv4]]", 1, "is not one of"},
	/* keys */
	{"tracr: auto", 1, "tracr: unknown key; meant: tracer"},
	{"\nrecrods: {open: true}", 2, "recrods: unknown key; meant: records"},
	{"output: {fromat: json}", 1, "output.fromat: unknown key; meant: output.format"},
	{"colour: red", 1, "colour: unknown key"},
	{"records.open: true", 1, "takes two lines"},
	{"records: true", 1, "records: is a section"},
	{"output: [json]", 1, "output: is a section"},
	{"tracer: auto\ntracer: auto\n", 2, "tracer: a second time, first in line 1"},
	{"records: {open: true}\nrecords: {open: true}\n", 2, "a second time"},
	{"- tracer: auto", 1, "not a configuration"},
	{"tracer", 1, "not a configuration"},
	/* filters */
	{"filters: all", 1, "filters: is not a list"},
	{"filters: [all]", 1, "not a filter"},
	{"filters: [{}]", 1, "not a filter"},
	{"filters:\n  - drop: all", 2, "\"drop\" is neither exclude nor include"},
	{"filters:\n  - exclude: some", 2, "not a condition"},
	{"filters:\n  - exclude:", 2, "not a condition"},
	{"filters:\n  - exclude: {}", 2, "no condition"},
	{"filters:\n  - {exclude: all, include: all}", 2, "an item of its own"},
	{"filters:\n  - exclude: {prot: 1}", 2, "unknown condition \"prot\"; meant: port"},
	{"filters:\n  - exclude: {user: 1}", 2,
	 "unknown condition \"user\"; there are cidr, port, protocol, cgroup and sample"},
	{"filters:\n  - exclude: {port: [1]}", 2, "port: has no plain value"},
	{"filters:\n  - exclude: {port: 0}", 2, "is not a port"},
	{"filters:\n  - exclude: {port: 65536}", 2, "is not a port"},
	{"filters:\n  - exclude: {port: 9-8}", 2, "is not a port"},
	{"filters:\n  - exclude: {port: 1-}", 2, "is not a port"},
	{"filters:\n  - exclude: {port: 1-2-3}", 2, "is not a port"},
	{"filters:\n  - exclude: {protocol: icmp}", 2, "protocol: \"icmp\" is neither tcp nor udp"},
	{"filters:\n  - exclude: {protocol: TCP}", 2, "protocol: \"TCP\" is neither tcp nor udp"},
	{"filters:\n  - exclude: {protocol: [tcp]}", 2, "protocol: has no plain value"},
	{"filters:\n  - exclude: {protocoll: tcp}", 2, "meant: protocol"},
	{"filters:\n  - exclude: {cgroup: nginx.service}", 2,
	 "cgroup: \"nginx.service\" does not begin with '/'; give the path as /proc/PID/cgroup"},
	{"filters:\n  - exclude: {cgroup: ''}", 2, "does not begin with '/'"},
	{"filters:\n  - exclude: {cgroup: /a/}", 2, "has an empty name in it, a '.' or a '..'"},
	{"filters:\n  - exclude: {cgroup: //a}", 2, "has an empty name in it"},
	{"filters:\n  - exclude: {cgroup: /a//b}", 2, "has an empty name in it"},
	{"filters:\n  - exclude: {cgroup: /a/../b}", 2, "has an empty name in it"},
	{"filters:\n  - exclude: {cgroup: /.}", 2, "has an empty name in it"},
	{"filters:\n  - exclude:\n      sample: 10", 3, "sample: stands with include alone"},
	{"filters:\n  - include: {sample: 0}", 2,
	 "sample: \"0\" is not a number from 1 to 1000000"},
	{"filters:\n  - include: {sample: 1000001}", 2, "sample: \"1000001\" is not a number"},
	{"filters:\n  - include: {sample: 1%}", 2, "sample: \"1%\" is not a number"},
	{"filters:\n  - include: {sample: -1}", 2, "sample: \"-1\" is not a number"},
	{"filters:\n  - exclude: {cidr: 10.0.0.0/33}", 2, "prefix longer than the address"},
	{"filters:\n  - exclude: {cidr: 10.0.0.1/8}", 2, "address bits beyond its prefix"},
	{"filters:\n  - exclude: {cidr: 10.0.0.0/}", 2, "no number of bits"},
	{"filters:\n  - exclude: {cidr: 10.0.0.0/8x}", 2, "no number of bits"},
	{"filters:\n  - exclude: {cidr: 10.0.0/8}", 2, "is not a network"},
	{"filters:\n  - exclude: {cidr: example.org}", 2, "is not a network"},
	{"filters:\n  - exclude: {cidr: '::ffff:10.0.0.0/104'}", 2, "is an IPv4 network"},
	/* YAML that a configuration has no use for */
	{"tracer: &a auto", 1, "anchors (&name) are not supported"},
	{"tracer: *a", 1, "aliases (*name) are not supported"},
	{"tracer: !!str auto", 1, "tags (!name) are not supported"},
	{"families: !x [ipv4]", 1, "tags"},
	{"output: &x {format: json}", 1, "anchors"},
	{"tracer: auto\n---\ntracer: auto\n", 2, "a second document"},
	{"? [tracer]\n: auto\n", 1, "a key must be a word"},
	{"~: auto", 1, "a key must be a word"},
	{"tracer: \"a\\0\"", 1, "holds a NUL"},
	{"\n\ntracer: [\n", 4, "not YAML"},
	{"tracer: a: b", 1, "not YAML: mapping values are not allowed"},
	{"tracer: auto\n\tx", 2, "not YAML"},
	{"tracer: auto\n# \xff\n", 2, "not YAML"},
	{"a: [[[[[[[[[[[[[[]]]]]]]]]]]]]]", 1, "nested deeper than 8 levels"},
};

static void test_schema_refuses_with_line_and_reason(void **state)
{
	const struct config defaults = valid("");

	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		const struct refusal *want = &refusals[i];
		struct errors errors;
		struct config config;

		assert_int_equal(check_local(want->text, &config, &errors), -EINVAL);
		assert_int_equal(errors.count, errors.total);
		assert_string_equal(errors.list[0].file, "conntrace.yaml");
		if (errors.list[0].line != want->line ||
		    !strstr(errors.list[0].reason, want->reason))
			fail_msg("%s: %u: %s", want->text, errors.list[0].line,
				 errors.list[0].reason);
		assert_memory_equal(&config, &defaults, sizeof(config));
	}
}

static void test_schema_reports_every_error_up_to_its_room(void **state)
{
	char text[4096] = "";
	struct errors errors;
	struct config config;

	(void)state;
	for (uint32_t i = 0; i < MSG_ERRORS_MAX + 3; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "wrong_%u: 1\n", i);
	assert_int_equal(check_local(text, &config, &errors), -EINVAL);
	assert_int_equal(errors.count, MSG_ERRORS_MAX);
	assert_int_equal(errors.total, MSG_ERRORS_MAX + 3);
	for (uint32_t i = 0; i < MSG_ERRORS_MAX; i++)
		assert_int_equal(errors.list[i].line, i + 1);
}

static void test_schema_bounds_size_of_a_text(void **state)
{
	char text[8192] = "tracer: ", *many = text + sizeof("filters: [") - 1;
	struct errors errors;
	struct config config;

	(void)state;
	memset(text + strlen(text), 'a', CONFIG_PATH_MAX - 1);
	check_local(text, &config, &errors);
	assert_non_null(strstr(errors.list[0].reason, "is not one of"));
	assert_non_null(strstr(errors.list[0].reason, "..."));
	memset(text + strlen(text), 'a', 1);
	check_local(text, &config, &errors);
	assert_non_null(strstr(errors.list[0].reason, "longer than 255 bytes"));

	memset(text, 0, sizeof(text));
	snprintf(text, sizeof(text), "filters: [");
	for (size_t i = 0; i < 4000; i++)
		many[i] = i % 2 ? ',' : '1';
	check_local(text, &config, &errors);
	assert_non_null(strstr(errors.list[0].reason, "more than 1023 keys and values"));
}

/* A quoted value is cut, and not within a character: whoever shows the reason needs whole ones. */
static void test_schema_cuts_quotes_between_characters(void **state)
{
	char quoted[ERRORS_QUOTE_MAX], text[128];

	(void)state;
	for (size_t ascii = 0; ascii < 3; ascii++) {
		memset(text, 'x', ascii);
		for (size_t i = 0; i < 30; i++)
			memcpy(text + ascii + 3 * i, "\xe2\x82\xac", 4); /* the euro sign */
		errors_quote(text, quoted);
		assert_int_equal((strlen(quoted) - 3 - ascii) % 3, 0);
		assert_string_equal(quoted + strlen(quoted) - 3, "...");
	}
	memset(text, 'x', ERRORS_QUOTE_MAX - 1);
	text[ERRORS_QUOTE_MAX - 1] = '\0';
	assert_string_equal(errors_quote(text, quoted), text);
}

/* --- several texts --- */

static void test_schema_merges_parts_over_the_local_file(void **state)
{
	const struct schema_text local =
		text_of("conntrace.yaml", "snapshot_interval: 1s\n"
					  "families: [ipv4]\n"
					  "filters: [exclude: {port: 1}]\n");
	const struct schema_text parts[] = {
		text_of("10-a.yaml", "snapshot_interval: 2s\nfilters: [exclude: {port: 2}]\n"),
		text_of("20-b.yaml", ""),
		text_of("30-c.yaml", "snapshot_interval: 3s\nrecords: {open: true}\n"
				     "filters: [exclude: {port: 3}]\n"),
	};
	struct errors errors;
	struct config config;
	struct config_origins origins;

	(void)state;
	assert_int_equal(schema_check(&local, parts, COUNT(parts), &config, &origins, &errors), 0);
	assert_int_equal(config.snapshot_interval_ms, 3000);
	assert_int_equal(config.families, FAMILY_IPV4);
	assert_int_equal(config.record_open, 1);
	assert_int_equal(config.filter_count, 3);
	for (uint16_t i = 0; i < 3; i++)
		assert_int_equal(config.filters[i].match.port_low, i + 1);
}

static uint32_t origin_of(const struct config_origins *origins, const char *path)
{
	const struct schema_key *key = schema_find_key(path);

	assert_non_null(key);
	assert_in_range(schema_key_index(key), 0, origins->key_count - 1);
	return origins->keys[schema_key_index(key)];
}

static void test_schema_says_where_each_value_comes_from(void **state)
{
	const struct schema_text local =
		text_of("conntrace.yaml", "snapshot_interval: 1s\nfamilies: [ipv4]\nrecords:\n"
					  "filters: [exclude: {port: 1}]\n");
	const struct schema_text parts[] = {
		text_of("10-a.yaml", "snapshot_interval: 2s\nfilters:\n"),
		text_of("20-b.yaml", "records: {open: false}\n"
				     "filters: [exclude: {port: 2}, exclude: {port: 3}]\n"),
	};
	static const uint32_t filters[] = {1, 3, 3};
	struct errors errors;
	struct config config;
	struct config_origins origins;

	(void)state;
	assert_int_equal(schema_check(&local, parts, COUNT(parts), &config, &origins, &errors), 0);
	assert_int_equal(origins.text_count, 3);
	assert_string_equal(origins.texts[0].name, "conntrace.yaml");
	assert_string_equal(origins.texts[1].name, "10-a.yaml");
	assert_string_equal(origins.texts[2].name, "20-b.yaml");
	assert_int_equal(origin_of(&origins, "snapshot_interval"), 2);
	assert_int_equal(origin_of(&origins, "families"), 1);
	assert_int_equal(origin_of(&origins, "records.open"), 3);
	assert_int_equal(origin_of(&origins, "memory_budget"), 0);
	assert_int_equal(origin_of(&origins, "btf"), 0);
	assert_int_equal(origins.filter_count, COUNT(filters));
	assert_memory_equal(origins.filters, filters, sizeof(filters));
	assert_null(schema_key_at(origins.key_count));
	/* Of what is wrong at least the names are told. */
	assert_int_equal(schema_check(&local, &(struct schema_text){"x.yaml", "a: [", 4}, 1,
				      &config, &origins, &errors),
			 -EINVAL);
	assert_int_equal(origins.text_count, 2);
	assert_string_equal(origins.texts[1].name, "x.yaml");
}

static void test_schema_keeps_local_keys_from_the_source(void **state)
{
	static const char *const texts[] = {
		"tracer: auto",
		"memory_budget: 16MiB",
		"output: {format: json}",
		"output: {path: /tmp}",
		"source: {dir: /tmp}",
		"source: {interval: 1s}",
		"output:\n  path:\n",
		"source: {interval: fast}",
		"instance: host",
		"btf: /boot/btf",
		"nat: false",
	};
	const struct schema_text local = text_of("conntrace.yaml", "");

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct schema_text part = text_of("10-a.yaml", texts[i]);
		struct errors errors;
		struct config config;
		struct config_origins origins;

		assert_int_equal(schema_check(&local, &part, 1, &config, &origins, &errors),
				 -EINVAL);
		assert_int_equal(errors.total, 1);
		assert_string_equal(errors.list[0].file, "10-a.yaml");
		assert_non_null(strstr(errors.list[0].reason,
				       "may be set only in the local configuration file"));
	}
}

static void add_filter(char *list, size_t cap)
{
	size_t len = strlen(list);

	snprintf(list + len, cap - len, "- exclude: {port: 1}\n");
}

/* A source may set these, and a key that is added here is a decision. */
static const char *const remote[] = {"families", "snapshot_interval", "records.open", "filters"};

static bool is_remote(const char *path)
{
	for (size_t i = 0; i < COUNT(remote); i++)
		if (strcmp(remote[i], path) == 0)
			return true;
	return false;
}

/* A key with a value as one would write it. */
static void write_key(const struct schema_key *key, char *text, size_t cap)
{
	const char *value =
		key->fallback                ? key->fallback
		: key->type == SCHEMA_LABEL  ? "web1"
		: key->type == SCHEMA_URL    ? "https://config.example/repo\n  root: /etc/passwd"
		: key->type == SCHEMA_AGENT  ? "http://127.0.0.1:8126\n  root: /etc/passwd"
		: key->type == SCHEMA_REPORT ? "https://told.example/\n  dir: /etc/passwd"
					     : "/etc/passwd";
	const char *dot = strchr(key->path, '.');

	if (dot)
		snprintf(text, cap, "%.*s:\n  %s: %s\n", (int)(dot - key->path), key->path, dot + 1,
			 value);
	else
		snprintf(text, cap, "\n%s: %s\n", key->path, value);
}

static void test_schema_lets_a_source_set_what_is_listed_and_no_more(void **state)
{
	const struct schema_text local = text_of("conntrace.yaml", "memory_budget: 2MiB\n");
	const struct config alone = valid(local.text);

	(void)state;
	for (size_t i = 0; schema_key_at(i); i++) {
		const struct schema_key *key = schema_key_at(i);
		struct config_origins origins;
		struct errors errors;
		struct config config;
		char text[128], reason[128];
		struct schema_text part = {.name = "10-a.yaml", .text = text};
		int want = is_remote(key->path) ? 0 : -EINVAL;

		write_key(key, text, sizeof(text));
		part.len = strlen(text);
		/* The value is none that the local file could not have. */
		if (schema_check(&part, NULL, 0, &config, &origins, &errors) != 0)
			fail_msg("%s: %s", text, errors.list[0].reason);
		if (schema_check(&local, &part, 1, &config, &origins, &errors) != want)
			fail_msg("%s: %s", key->path, want ? "not refused" : "refused");
		if (!want) {
			assert_memory_equal(&config, &alone, sizeof(config));
			continue;
		}
		snprintf(reason, sizeof(reason),
			 "%s: may be set only in the local configuration file", key->path);
		/* With a URL comes what it needs. */
		assert_int_equal(errors.total, key->type == SCHEMA_URL ||
							       key->type == SCHEMA_AGENT ||
							       key->type == SCHEMA_REPORT
						       ? 2
						       : 1);
		assert_string_equal(errors.list[0].file, "10-a.yaml");
		assert_int_equal(errors.list[0].line, 2);
		assert_string_equal(errors.list[0].reason, reason);
	}
}

/* What there is no key for: users, privileges, the sandbox, keys and where they come from. */
static void test_schema_has_no_key_for_what_a_source_must_not_touch(void **state)
{
	static const char *const texts[] = {
		"uid: 0",
		"user: root",
		"gid: 0",
		"sandbox: off",
		"seccomp: false",
		"capabilities: [all]",
		"keys: []",
		"root: /tmp/root.json",
		"socket: /tmp/x",
		"programs: /tmp",
		"objects: /tmp",
		"env: {LD_PRELOAD: /x.so}",
		"output: {command: sh}",
		"memory: 1GiB",
		"ring_bytes: 65536",
	};
	const struct schema_text local = text_of("conntrace.yaml", "");

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct schema_text part = text_of("10-a.yaml", texts[i]);
		struct config_origins origins;
		struct errors errors;
		struct config config;

		assert_int_equal(schema_check(&local, &part, 1, &config, &origins, &errors),
				 -EINVAL);
		assert_int_equal(errors.total, 1);
		assert_int_equal(errors.list[0].line, 1);
		assert_non_null(strstr(errors.list[0].reason, ": unknown key"));
	}
}

static void test_schema_counts_filters_over_all_texts(void **state)
{
	char list[512] = "filters:\n";
	struct schema_text texts[2];
	struct errors errors;
	struct config config;
	struct config_origins origins;

	(void)state;
	for (uint32_t i = 0; i < FILTERS_MAX / 2; i++)
		add_filter(list, sizeof(list));
	texts[0] = text_of("conntrace.yaml", list);
	texts[1] = text_of("10-a.yaml", list);
	assert_int_equal(schema_check(&texts[0], &texts[1], 1, &config, &origins, &errors), 0);
	assert_int_equal(config.filter_count, FILTERS_MAX);
	add_filter(list, sizeof(list));
	texts[1] = text_of("10-a.yaml", list);
	texts[0].len = strlen(list) - strlen("- exclude: {port: 1}\n");
	assert_int_equal(schema_check(&texts[0], &texts[1], 1, &config, &origins, &errors),
			 -EINVAL);
	assert_int_equal(errors.total, 1);
	assert_string_equal(errors.list[0].file, "10-a.yaml");
	assert_int_equal(errors.list[0].line, FILTERS_MAX / 2 + 2);
	assert_int_equal(config.filter_count, 0);
}

static void test_schema_finds_errors_in_every_text(void **state)
{
	const struct schema_text local = text_of("conntrace.yaml", "a: [\n");
	const struct schema_text parts[] = {text_of("1.yaml", "b: 1\n"),
					    text_of("2.yaml", "\nc: 1\n")};
	struct errors errors;
	struct config config;
	struct config_origins origins;

	(void)state;
	assert_int_equal(schema_check(&local, parts, 2, &config, &origins, &errors), -EINVAL);
	assert_int_equal(errors.total, 3);
	assert_string_equal(errors.list[1].file, "1.yaml");
	assert_string_equal(errors.list[2].file, "2.yaml");
	assert_int_equal(errors.list[2].line, 2);
}

/* --- the table, and what else repeats it --- */

static void test_schema_ranges_are_those_of_the_messages(void **state)
{
	static const struct {
		const char *path;
		uint64_t least, most;
	} rows[] = {
		{"snapshot_interval", CONFIG_SNAPSHOT_MS_MIN, CONFIG_SNAPSHOT_MS_MAX},
		{"source.interval", CONFIG_POLL_MS_MIN, CONFIG_POLL_MS_MAX},
	};
	uint32_t found = 0;

	(void)state;
	for (size_t i = 0; schema_key_at(i); i++) {
		const struct schema_key *key = schema_key_at(i);
		uint64_t least, most;

		for (size_t j = 0; j < COUNT(rows); j++) {
			if (strcmp(rows[j].path, key->path) != 0)
				continue;
			assert_true(value_duration(key->least, &least));
			assert_true(value_duration(key->most, &most));
			assert_int_equal(least, rows[j].least);
			assert_int_equal(most, rows[j].most);
			found++;
		}
	}
	assert_int_equal(found, COUNT(rows));
}

/* The tests run in the root of the source tree. */
static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = calloc(1, CONFIG_TEXT_MAX);

	assert_non_null(file);
	assert_non_null(text);
	assert_in_range(fread(text, 1, CONFIG_TEXT_MAX - 1, file), 1, CONFIG_TEXT_MAX - 2);
	fclose(file);
	return text;
}

static void test_schema_is_what_the_documentation_says(void **state)
{
	char *text = read_file("docs/configuration.md");

	(void)state;
	for (size_t i = 0; schema_key_at(i); i++) {
		const struct schema_key *key = schema_key_at(i);
		char row[128], *at, *end;

		snprintf(row, sizeof(row), "\n| `%s` |", key->path);
		at = strstr(text, row);
		if (!at) {
			fail_msg("docs/configuration.md has no row for %s", key->path);
			return; /* not reached: what the analyser doesn't know of fail_msg() */
		}
		end = strchr(at + 1, '\n');
		assert_non_null(end);
		*end = '\0';
		snprintf(row, sizeof(row), "| %s%s%s |", key->fallback ? "`" : "",
			 key->fallback ? key->fallback : "none", key->fallback ? "`" : "");
		if (!strstr(at, row))
			fail_msg("docs/configuration.md: default of %s is not %s", key->path, row);
		assert_non_null(
			strstr(at, key->set_by & SCHEMA_SOURCE ? "local, source" : "local"));
		assert_int_equal(!strstr(at, "source |"), !(key->set_by & SCHEMA_SOURCE));
		if (key->least)
			assert_true(strstr(at, key->least) && strstr(at, key->most));
		*end = '\n';
	}
	free(text);
}

/* The packaged file names every key at its default, so it changes nothing but the output. */
static void test_schema_packaged_file_is_the_defaults(void **state)
{
	char *text = read_file("packaging/etc/conntrace.yaml");
	const struct config defaults =
		valid("output: {path: /var/log/conntrace/connections.jsonl}");
	struct config config = valid(text);

	(void)state;
	assert_memory_equal(&config, &defaults, sizeof(config));
	for (size_t i = 0; schema_key_at(i); i++) {
		const char *dot = strchr(schema_key_at(i)->path, '.');

		assert_non_null(strstr(text, dot ? dot + 1 : schema_key_at(i)->path));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_says_nothing_means_defaults),
		cmocka_unit_test(test_schema_reads_every_key),
		cmocka_unit_test(test_schema_reads_a_signed_source),
		cmocka_unit_test(test_schema_reads_a_local_agent),
		cmocka_unit_test(test_schema_reads_who_is_told),
		cmocka_unit_test(test_schema_refuses_what_is_no_source),
		cmocka_unit_test(test_schema_reads_filters),
		cmocka_unit_test(test_schema_reads_protocol_cgroup_and_sample),
		cmocka_unit_test(test_schema_default_budget_is_the_one_of_config_h),
		cmocka_unit_test(test_schema_refuses_with_line_and_reason),
		cmocka_unit_test(test_schema_reports_every_error_up_to_its_room),
		cmocka_unit_test(test_schema_bounds_size_of_a_text),
		cmocka_unit_test(test_schema_cuts_quotes_between_characters),
		cmocka_unit_test(test_schema_merges_parts_over_the_local_file),
		cmocka_unit_test(test_schema_says_where_each_value_comes_from),
		cmocka_unit_test(test_schema_keeps_local_keys_from_the_source),
		cmocka_unit_test(test_schema_lets_a_source_set_what_is_listed_and_no_more),
		cmocka_unit_test(test_schema_has_no_key_for_what_a_source_must_not_touch),
		cmocka_unit_test(test_schema_counts_filters_over_all_texts),
		cmocka_unit_test(test_schema_finds_errors_in_every_text),
		cmocka_unit_test(test_schema_ranges_are_those_of_the_messages),
		cmocka_unit_test(test_schema_is_what_the_documentation_says),
		cmocka_unit_test(test_schema_packaged_file_is_the_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
