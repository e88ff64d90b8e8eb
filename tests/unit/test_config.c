/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

static struct config sound(void)
{
	struct config config = {
		.families = FAMILY_IPV4 | FAMILY_IPV6,
		.snapshot_interval_ms = 10000,
		.ring_bytes = 1u << 20,
		.output_path = "-",
		.filter_count = 2,
	};

	config.filters[0].match = (struct filter){.families = FAMILY_IPV4,
						  .protocols = PROTOCOL_TCP,
						  .prefix_bits = 8,
						  .port_high = 65535};
	config.filters[0].match.addr[0] = htonl(0x0a000000);
	config.filters[0].match.mask[0] = htonl(0xff000000);
	config.filters[1].match = (struct filter){.families = FAMILY_IPV6,
						  .protocols = PROTOCOL_UDP,
						  .prefix_bits = 128,
						  .port_low = 443};
	config.filters[1].match.port_high = 443;
	memset(config.filters[1].match.mask, 0xff, sizeof(config.filters[1].match.mask));
	config.filters[1].match.addr[3] = htonl(1);
	return config;
}

static void test_config_accepts_what_is_sound(void **state)
{
	struct config config = sound();

	(void)state;
	assert_null(config_inconsistent(&config));
	snprintf(config.output_path, sizeof(config.output_path), "/var/log/records.json");
	snprintf(config.source.dir, sizeof(config.source.dir), "/etc/conntrace/conf.d");
	snprintf(config.btf_path, sizeof(config.btf_path), "/boot/btf");
	assert_null(config_inconsistent(&config));
}

static void test_config_refuses_ring_no_power_of_two(void **state)
{
	struct config config = sound();

	(void)state;
	config.ring_bytes = 3u << 20;
	assert_non_null(config_inconsistent(&config));
}

static void test_config_refuses_relative_paths(void **state)
{
	struct config config = sound();

	(void)state;
	snprintf(config.output_path, sizeof(config.output_path), "records.json");
	assert_non_null(config_inconsistent(&config));
	config = sound();
	snprintf(config.source.dir, sizeof(config.source.dir), "-");
	assert_non_null(config_inconsistent(&config));
	config = sound();
	config.output_path[0] = '\0';
	assert_non_null(config_inconsistent(&config));
	config = sound();
	snprintf(config.btf_path, sizeof(config.btf_path), "vmlinux");
	assert_non_null(config_inconsistent(&config));
}

static void test_config_refuses_more_filters_than_there_is_room(void **state)
{
	struct config config = sound();

	(void)state;
	for (uint32_t i = 0; i < FILTERS_MAX; i++)
		config_filter_init(&config.filters[i]);
	config.filter_count = FILTERS_MAX;
	assert_null(config_inconsistent(&config));
	config.filter_count = FILTERS_MAX + 1;
	assert_non_null(config_inconsistent(&config));
}

static void refuse_filter(const struct filter *filter)
{
	struct config config = sound();

	config.filters[1].match = *filter;
	assert_non_null(config_inconsistent(&config));
}

static void test_config_refuses_inconsistent_filters(void **state)
{
	const struct filter good = sound().filters[0].match;
	struct filter bad;

	(void)state;
	bad = good;
	bad.families = 4;
	refuse_filter(&bad);
	bad = good;
	bad.families = 3; /* a prefix without an address */
	refuse_filter(&bad);
	bad = good;
	bad.prefix_bits = 33;
	refuse_filter(&bad);
	bad = good;
	bad.mask[0] = htonl(0xff800000);
	refuse_filter(&bad);
	bad = good;
	bad.addr[0] = htonl(0x0a000001);
	refuse_filter(&bad);
	bad = good;
	bad.addr[3] = 1;
	refuse_filter(&bad);
	bad = good;
	bad.port_low = 2;
	bad.port_high = 1;
	refuse_filter(&bad);
	bad = good;
	bad.protocols = 0;
	refuse_filter(&bad);
	bad.protocols = 4;
	refuse_filter(&bad);
	bad = good;
	bad.sample = 10;
	refuse_filter(&bad);
	bad = good;
	bad.by_cgroup = 1; /* without a path */
	refuse_filter(&bad);
}

static void test_config_refuses_paths_of_cgroups_that_are_none(void **state)
{
	static const char *const wrong[] = {"",     "a",    "a/b",   "//",     "/a/",   "/a//b",
					    "/./a", "/a/.", "/../a", "/a/../", "/a/..", "/.."};
	static const char *const right[] = {"/", "/a", "/a/b.c", "/...", "/.a/..b/c..", "/a b\n"};
	struct config config = sound();
	struct config_filter *filter = &config.filters[1];

	(void)state;
	filter->match.by_cgroup = 1;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		snprintf(filter->cgroup, sizeof(filter->cgroup), "%s", right[i]);
		if (config_inconsistent(&config))
			fail_msg("refused: %s", right[i]);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(filter->cgroup, sizeof(filter->cgroup), "%s", wrong[i]);
		if (!config_inconsistent(&config))
			fail_msg("accepted: %s", wrong[i]);
	}
	snprintf(filter->cgroup, sizeof(filter->cgroup), "/a");
	filter->match.by_cgroup = 0; /* a path that nobody looks up */
	assert_non_null(config_inconsistent(&config));
}

static void test_config_tells_what_filters_are_about(void **state)
{
	struct config config = sound();

	(void)state;
	assert_false(config_names_cgroups(&config));
	config.filters[1].match.by_cgroup = 1;
	assert_true(config_names_cgroups(&config));
	config.filter_count = 0;
	assert_false(config_names_cgroups(&config));
}

static void test_config_masks_every_prefix_length(void **state)
{
	(void)state;
	for (uint32_t bits = 0; bits <= 128; bits++) {
		uint32_t mask[4], set = 0;

		config_prefix_mask(bits, mask);
		for (uint32_t i = 0; i < 128; i++) {
			uint32_t bit = ntohl(mask[i / 32]) >> (31 - i % 32) & 1;

			assert_int_equal(bit, i < bits);
			set += bit;
		}
		assert_int_equal(set, bits);
	}
}

static void test_config_derives_sizes_from_the_budget(void **state)
{
	static const struct {
		uint64_t budget, ring, conn, flow, live, listed_with_nat, nat, nat_buffer;
	} rows[] = {
		{1u << 20, 256u << 10, 877, 327, 1024, 512, 481, 65536},
		{5u << 20, 1u << 20, 4388, 1638, 5120, 2560, 2409, 327680},
		{16u << 20, 4u << 20, 14043, 5242, 16384, 8192, 7710, 1u << 20},
		{31u << 20, 4u << 20, 27209, 10158, 31744, 15872, 14938, 2031616},
		{32u << 20, 8u << 20, 28086, 10485, 32768, 16384, 15420, 2u << 20},
		{256u << 20, 64u << 20, 224694, 83886, 262144, 131072, 123361, 16u << 20},
		{512u << 20, 64u << 20, 449389, 167772, 524288, 262144, 246723, 32u << 20},
		{1u << 30, 64u << 20, 898779, 335544, 1048576, 524288, 493447, 64u << 20},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config config = {0};

		config_apply_budget(rows[i].budget, &config);
		assert_int_equal(config.ring_bytes, rows[i].ring);
		assert_int_equal(config.conn_max, rows[i].conn);
		assert_int_equal(config.flow_max, rows[i].flow);
		assert_int_equal(config.live_max, rows[i].live);
		assert_int_equal(config.nat_max, rows[i].nat);
		assert_int_equal(config.nat_buffer_bytes, rows[i].nat_buffer);
		assert_int_equal(config_listed_max(&config), rows[i].live);
		config.nat = 1;
		assert_int_equal(config_listed_max(&config), rows[i].listed_with_nat);
		assert_in_range(config.nat_max, CONFIG_NAT_MAX_MIN, CONFIG_NAT_MAX_MAX);
		assert_in_range(config.nat_buffer_bytes, CONFIG_NAT_BUFFER_MIN,
				CONFIG_NAT_BUFFER_MAX);
		assert_in_range(config.conn_max, CONFIG_CONN_MAX_MIN, CONFIG_CONN_MAX_MAX);
		assert_in_range(config.live_max, CONFIG_LIVE_MAX_MIN, CONFIG_LIVE_MAX_MAX);
	}
}

/* Every number has its word, and no word is there twice. */
static void test_config_names_every_choice(void **state)
{
	static const struct {
		const char *const *words;
		size_t count;
	} lists[] = {
		{config_formats, FORMAT_COUNT},
		{config_tracers, TRACER_COUNT},
		{config_instances, INSTANCE_COUNT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *const *words = lists[i].words;

		assert_string_equal(words[0], "auto");
		assert_null(words[lists[i].count]);
		for (size_t a = 0; a < lists[i].count; a++) {
			assert_non_null(words[a]);
			for (size_t b = 0; b < a; b++)
				assert_string_not_equal(words[a], words[b]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_accepts_what_is_sound),
		cmocka_unit_test(test_config_refuses_ring_no_power_of_two),
		cmocka_unit_test(test_config_refuses_relative_paths),
		cmocka_unit_test(test_config_refuses_more_filters_than_there_is_room),
		cmocka_unit_test(test_config_refuses_inconsistent_filters),
		cmocka_unit_test(test_config_refuses_paths_of_cgroups_that_are_none),
		cmocka_unit_test(test_config_tells_what_filters_are_about),
		cmocka_unit_test(test_config_masks_every_prefix_length),
		cmocka_unit_test(test_config_derives_sizes_from_the_budget),
		cmocka_unit_test(test_config_names_every_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
