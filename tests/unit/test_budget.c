/* SPDX-License-Identifier: Apache-2.0 */
/* The memory budget against the sizes of what is really taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/config.h"
#include "exporter/live.h"
#include "record/cgroup_cache.h"

/* Of entries and of a power of two of chains, as live_open() and cgroup_cache_open() take them. */
static uint64_t table_bytes(uint64_t entries, size_t entry_bytes)
{
	uint64_t chains = 1;

	while (chains < entries)
		chains *= 2;
	return entries * entry_bytes + chains * sizeof(uint32_t);
}

static void test_budget_holds_the_exporters_tables(void **state)
{
	(void)state;
	for (uint64_t budget = 1u << 20; budget <= 1u << 30; budget += 123456) {
		struct config config = {0};

		config_apply_budget(budget, &config);
		for (uint32_t nat = 0; nat <= 1; nat++) {
			uint64_t taken;

			config.nat = nat;
			taken = table_bytes(config_listed_max(&config), sizeof(struct live_entry)) +
				table_bytes(config_cgroups_max(&config),
					    sizeof(struct cgroup_entry));
			assert_true(taken <= budget / 8 * (nat ? 1 : 2));
		}
	}
}

/* An entry of a hash: kernel/bpf/hashtab.c, struct htab_elem and struct bucket. */
static uint64_t hash_bytes(uint64_t entries, uint64_t key_bytes, uint64_t value_bytes)
{
	uint64_t buckets = 1;

	while (buckets < entries)
		buckets *= 2;
	return entries * (48 + key_bytes + value_bytes) + buckets * 16;
}

static void test_budget_holds_the_kernels_tables(void **state)
{
	(void)state;
	for (uint64_t budget = 1u << 20; budget <= 1u << 30; budget += 123456) {
		struct config config = {0};

		config_apply_budget(budget, &config);
		assert_true(config.ring_bytes <= budget / 4);
		/* bpf/store.h: struct conn, flow_key and flow, flow_socket */
		assert_true(hash_bytes(config.conn_max, 8, 72) <= budget / 8 * 3);
		assert_true(hash_bytes(config.flow_max, 40, 136) +
				    hash_bytes(config.flow_max, 8, 56) <=
			    budget / 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget_holds_the_exporters_tables),
		cmocka_unit_test(test_budget_holds_the_kernels_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
