/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "exporter/ring.h"

#define SIZE    4096u
#define BUSY    (UINT32_C(1) << 31)
#define DISCARD (UINT32_C(1) << 30)

/* A ring in ordinary memory, and the producer's side of it. */
struct fake {
	_Alignas(8) uint8_t data[SIZE];
	uint64_t consumer;
	uint64_t producer;
	struct ring ring;
};

static struct fake fake;

static void start_at(uint64_t position)
{
	memset(&fake, 0, sizeof(fake));
	fake.consumer = position;
	fake.producer = position;
	ring_attach(&fake.ring, &fake.consumer, &fake.producer, fake.data, SIZE);
}

/* Bytes count up from first, so that a wrong piece shows. */
static uint32_t *produce(uint32_t len, uint32_t bits, uint8_t first)
{
	uint32_t *header = (void *)(fake.data + fake.producer % SIZE);

	*header = len | bits;
	for (uint32_t i = 0; i < len; i++)
		fake.data[(fake.producer + 8 + i) % SIZE] = (uint8_t)(first + i);
	fake.producer += (8 + len + 7) & ~7u;
	return header;
}

static void expect_record(uint32_t len, uint8_t first)
{
	struct ring_record record;

	assert_int_equal(ring_next(&fake.ring, &record), 1);
	assert_int_equal(record.len_bytes, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(record.bytes[i], (uint8_t)(first + i));
}

static void expect_end(int how)
{
	struct ring_record record;

	assert_int_equal(ring_next(&fake.ring, &record), how);
}

static void test_ring_gives_records_in_order(void **state)
{
	(void)state;
	start_at(0);
	expect_end(0);
	produce(176, 0, 1);
	produce(13, 0, 50);
	expect_record(176, 1);
	expect_record(13, 50);
	expect_end(0);
}

static void test_ring_release_moves_the_consumer_and_nothing_else_does(void **state)
{
	(void)state;
	start_at(0);
	produce(176, 0, 1);
	expect_record(176, 1);
	assert_int_equal(fake.consumer, 0);
	assert_int_equal(ring_used(&fake.ring), 184);
	ring_release(&fake.ring);
	assert_int_equal(fake.consumer, 184);
	assert_int_equal(ring_used(&fake.ring), 0);
}

static void test_ring_unreleased_records_are_found_by_the_next_reader(void **state)
{
	(void)state;
	start_at(0);
	produce(16, 0, 7);
	expect_record(16, 7);
	ring_attach(&fake.ring, &fake.consumer, &fake.producer, fake.data, SIZE);
	expect_record(16, 7);
}

static void test_ring_joins_a_record_that_wraps(void **state)
{
	(void)state;
	for (uint64_t before = 8; before <= 184; before += 8) {
		start_at(3 * SIZE - before);
		produce(176, 0, (uint8_t)before);
		produce(8, 0, 99);
		expect_record(176, (uint8_t)before);
		expect_record(8, 99);
		expect_end(0);
	}
}

static void test_ring_positions_may_overflow_32_bits(void **state)
{
	(void)state;
	start_at((UINT64_C(1) << 32) - 64);
	produce(176, 0, 5);
	expect_record(176, 5);
	ring_release(&fake.ring);
	assert_true(fake.consumer == (UINT64_C(1) << 32) + 120);
}

static void test_ring_waits_for_a_busy_record(void **state)
{
	uint32_t *header;

	(void)state;
	start_at(0);
	header = produce(16, BUSY, 1);
	produce(16, 0, 2);
	expect_end(0);
	*header = 16;
	expect_record(16, 1);
	expect_record(16, 2);
}

static void test_ring_passes_over_discarded_records(void **state)
{
	(void)state;
	start_at(0);
	produce(40, DISCARD, 1);
	produce(16, 0, 2);
	produce(40, DISCARD, 3);
	expect_record(16, 2);
	expect_end(0);
	ring_release(&fake.ring);
	assert_int_equal(ring_used(&fake.ring), 0);
}

static void test_ring_a_long_record_that_wraps_is_cut(void **state)
{
	struct ring_record record;

	(void)state;
	start_at(SIZE - 64);
	produce(2000, 0, 1);
	assert_int_equal(ring_next(&fake.ring, &record), 1);
	assert_int_equal(record.len_bytes, RING_RECORD_MAX);
	for (uint32_t i = 0; i < RING_RECORD_MAX; i++)
		assert_int_equal(record.bytes[i], (uint8_t)(1 + i));
	expect_end(0);
}

static void test_ring_a_header_beyond_the_producer_is_damage(void **state)
{
	uint32_t *header;

	(void)state;
	start_at(0);
	header = produce(16, 0, 1);
	*header = 17;
	expect_end(-EPROTO);
	*header = 0x3fffffff;
	expect_end(-EPROTO);
}

static void test_ring_positions_further_apart_than_its_size_are_damage(void **state)
{
	(void)state;
	start_at(0);
	fake.producer = SIZE + 8;
	expect_end(-EPROTO);
	fake.producer = 0;
	fake.consumer = 8;
	ring_attach(&fake.ring, &fake.consumer, &fake.producer, fake.data, SIZE);
	expect_end(-EPROTO);
}

static void test_ring_open_refuses_what_is_no_ring(void **state)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("ring", MFD_CLOEXEC);
	struct ring ring;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(18 * page)), 0);
	assert_int_equal(ring_open(&ring, fd, 8 * page), -EINVAL);
	assert_int_equal(ring_open(&ring, fd, 0), -EINVAL);
	assert_int_equal(ring_open(&ring, fd, 3 * page), -EINVAL);
	assert_int_equal(ring_open(&ring, fd, 8), -EINVAL);
	close(fd);
	assert_int_equal(ring_open(&ring, -1, 8 * page), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_gives_records_in_order),
		cmocka_unit_test(test_ring_release_moves_the_consumer_and_nothing_else_does),
		cmocka_unit_test(test_ring_unreleased_records_are_found_by_the_next_reader),
		cmocka_unit_test(test_ring_joins_a_record_that_wraps),
		cmocka_unit_test(test_ring_positions_may_overflow_32_bits),
		cmocka_unit_test(test_ring_waits_for_a_busy_record),
		cmocka_unit_test(test_ring_passes_over_discarded_records),
		cmocka_unit_test(test_ring_a_long_record_that_wraps_is_cut),
		cmocka_unit_test(test_ring_a_header_beyond_the_producer_is_damage),
		cmocka_unit_test(test_ring_positions_further_apart_than_its_size_are_damage),
		cmocka_unit_test(test_ring_open_refuses_what_is_no_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
