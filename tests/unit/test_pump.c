/* SPDX-License-Identifier: Apache-2.0 */
/* What the exporter counts of the records on their way from the ring to the output. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "exporter/pump.h"

#define RING_BYTES 65536u
#define LIVE_MAX   3u

static _Alignas(8) uint8_t data[RING_BYTES];
static uint64_t consumer, producer;
static struct counters counters[COUNTER_SLOTS];
static struct ledger ledger;
static struct loop loop;
static struct pump pump;

/* With an output that is open. */
static void begin(int output)
{
	assert_true(output >= 0);
	assert_int_equal(sink_open_file(&pump.sink, output, "output"), 0);
	pump_begin(&pump, false);
}

static int set_up(void **state)
{
	(void)state;
	memset(&pump, 0, sizeof(pump));
	memset(&ledger, 0, sizeof(ledger));
	memset(counters, 0, sizeof(counters));
	consumer = producer = 0;
	pump.counters = counters;
	pump.ledger = &ledger;
	pump.cgroups.root_fd = -1;
	ring_attach(&pump.ring, &consumer, &producer, data, sizeof(data));
	if (loop_init(&loop) < 0 || live_open(&pump.live, LIVE_MAX) < 0 ||
	    nat_open(&pump.nat, &loop, false, 0) < 0)
		return -1;
	clients_init(&pump.clients, &loop, &pump.live, &ledger.clients_dropped);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sink_close(&pump.sink);
	live_close(&pump.live);
	loop_fini(&loop);
	return 0;
}

/* A record as the programs would write it; the caller may spoil it. */
static struct event *put(enum event_type type, uint64_t cookie)
{
	uint32_t *header = (void *)(data + producer % RING_BYTES);
	struct event *event = (void *)(header + 2);

	*header = sizeof(*event);
	*event = (struct event){.size = sizeof(*event),
				.version = EVENT_VERSION,
				.type = (uint8_t)type,
				.protocol = IPPROTO_TCP,
				.family = 4,
				.state = type == EVENT_LISTENER ? TCP_LISTEN : TCP_ESTABLISHED,
				.cookie = cookie};
	producer += sizeof(*event) + 8;
	assert_true(producer < RING_BYTES);
	return event;
}

/* Some of each type: 1 open, 3 updates, 4 closes, 2 walks, 1 that is malformed. */
#define RECORDS 11u
static void put_some(void)
{
	put(EVENT_OPEN, 1);
	put(EVENT_UPDATE, 1);
	put(EVENT_WALK, 0);
	put(EVENT_UPDATE, 2);
	put(EVENT_LISTENER, 3);
	put(EVENT_OPEN, 9)->version++;
	put(EVENT_WALK, 0);
	for (uint64_t cookie = 1; cookie <= 4; cookie++)
		put(EVENT_CLOSE, cookie);
}

/* What the ring was given back, and what is known of all that was in it whatever became of it. */
static void expect_taken(void)
{
	assert_int_equal(consumer, producer);
	assert_int_equal(pump.records, RECORDS);
	assert_int_equal(ledger.handled_walk, 2);
	assert_int_equal(ledger.dropped_malformed, 1);
}

static void test_pump_counts_what_was_delivered_by_type(void **state)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	(void)state;
	begin(dup(fd));
	put_some();
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	expect_taken();
	assert_int_equal(ledger.delivered_open, 1);
	assert_int_equal(ledger.delivered_update, 3);
	assert_int_equal(ledger.delivered_close, 4);
	assert_int_equal(ledger.delivered_bytes, lseek(fd, 0, SEEK_END));
	assert_int_equal(ledger.sink_errors, 0);
	/* Once. */
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	expect_taken();
	assert_int_equal(ledger.delivered_close, 4);
	close(fd);
}

static void test_pump_counts_what_the_output_does_not_take_by_type(void **state)
{
	(void)state;
	begin(open("/dev/full", O_WRONLY | O_CLOEXEC));
	put_some();
	assert_int_equal(pump_turn(&pump, 0), PUMP_STUCK);
	assert_int_equal(ledger.sink_errors, 1);
	assert_int_equal(consumer, 0);
	pump.failing_since_ms = 1; /* so long that patience is at its end */
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	expect_taken();
	assert_int_equal(ledger.sink_errors, 2);
	assert_int_equal(ledger.dropped_sink_open, 1);
	assert_int_equal(ledger.dropped_sink_update, 3);
	assert_int_equal(ledger.dropped_sink_close, 4);
	assert_int_equal(ledger.delivered_open + ledger.delivered_update + ledger.delivered_close,
			 0);
	assert_int_equal(pump.failing_dropped, 8); /* which the log says when it is over */
}

static int no_line(struct pump *unused, const struct event *event, char *out, size_t cap)
{
	(void)unused;
	(void)event;
	(void)out;
	(void)cap;
	return -1;
}

static void test_pump_counts_a_record_that_has_no_line(void **state)
{
	(void)state;
	begin(memfd_create("output", MFD_CLOEXEC));
	pump.format = no_line;
	put(EVENT_CLOSE, 1);
	put(EVENT_CLOSE, 2);
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	assert_int_equal(ledger.dropped_malformed, 2);
	assert_int_equal(ledger.delivered_close, 0);
}

static void test_pump_counts_what_the_table_has_no_room_for(void **state)
{
	(void)state;
	begin(memfd_create("output", MFD_CLOEXEC));
	for (uint64_t cookie = 1; cookie <= LIVE_MAX + 2; cookie++)
		put(EVENT_UPDATE, cookie);
	put(EVENT_UPDATE, 1); /* has its place */
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	assert_int_equal(pump.live.count, LIVE_MAX);
	assert_int_equal(ledger.table_full, 2);
	assert_int_equal(ledger.delivered_update, LIVE_MAX + 3);
}

static void test_pump_notes_what_a_whole_walk_met(void **state)
{
	struct event *walk;

	(void)state;
	begin(memfd_create("output", MFD_CLOEXEC));
	put(EVENT_WALK, 0)->walk_live = 7;
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	assert_int_equal(pump.walk_live, 0);
	walk = put(EVENT_WALK, 0);
	walk->walk_live = 8;
	walk->walk_whole = 1;
	assert_int_equal(pump_turn(&pump, 0), PUMP_DRY);
	assert_int_equal(pump.walk_live, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_pump_counts_what_was_delivered_by_type),
		TEST(test_pump_counts_what_the_output_does_not_take_by_type),
		TEST(test_pump_counts_a_record_that_has_no_line),
		TEST(test_pump_counts_what_the_table_has_no_room_for),
		TEST(test_pump_notes_what_a_whole_walk_met),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
