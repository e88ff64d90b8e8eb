/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "record/decode.h"

static struct event good(void)
{
	struct event event = {
		.size = sizeof(event),
		.version = EVENT_VERSION,
		.type = EVENT_CLOSE,
		.protocol = 6,
		.family = 4,
		.direction = DIRECTION_OUTGOING,
		.state = 1,
		.cpu = EVENT_CPUS - 1,
		.owner = OWNER_CONNECT,
		.flags = EVENT_F_PARTIAL,
		.error = 4095,
		.saddr = {127, 0, 0, 1},
		.daddr = {127, 0, 0, 2},
		.comm = "curl",
	};

	return event;
}

static enum decode_result decode(const struct event *event)
{
	struct event out;

	return decode_event((const uint8_t *)event, sizeof(*event), &out);
}

static void test_decode_takes_a_good_record_as_it_is(void **state)
{
	struct event event = good(), out;

	(void)state;
	assert_int_equal(decode_event((const uint8_t *)&event, sizeof(event), &out), DECODE_OK);
	assert_memory_equal(&event, &out, sizeof(event));
}

static void test_decode_takes_bytes_that_are_not_aligned(void **state)
{
	uint8_t bytes[sizeof(struct event) + 1] = {0};
	struct event event = good(), out;

	(void)state;
	memcpy(bytes + 1, &event, sizeof(event));
	assert_int_equal(decode_event(bytes + 1, sizeof(event), &out), DECODE_OK);
	assert_memory_equal(&event, &out, sizeof(event));
}

static void test_decode_refuses_every_other_length(void **state)
{
	uint8_t bytes[2 * sizeof(struct event)] = {0};
	struct event event = good(), out;

	(void)state;
	memcpy(bytes, &event, sizeof(event));
	for (size_t len = 0; len <= sizeof(bytes); len++)
		assert_int_equal(decode_event(bytes, len, &out),
				 len == sizeof(event) ? DECODE_OK : DECODE_LENGTH);
}

/* Sets a member of a good record and expects what comes of it. */
#define REFUSES(member, value, result) \
	do { \
		struct event event = good(); \
\
		event.member = (value); \
		assert_int_equal(decode(&event), (result)); \
	} while (0)

static void test_decode_refuses_each_bad_member(void **state)
{
	(void)state;
	REFUSES(size, 0, DECODE_SIZE);
	REFUSES(size, sizeof(struct event) + 8, DECODE_SIZE);
	REFUSES(version, 0, DECODE_VERSION);
	REFUSES(version, EVENT_VERSION + 1, DECODE_VERSION);
	REFUSES(type, 0, DECODE_TYPE);
	REFUSES(type, EVENT_LISTENER + 1, DECODE_TYPE);
	REFUSES(protocol, 1, DECODE_PROTOCOL);
	REFUSES(family, 0, DECODE_FAMILY);
	REFUSES(family, 5, DECODE_FAMILY);
	REFUSES(saddr[4], 1, DECODE_ADDRESS);
	REFUSES(daddr[15], 1, DECODE_ADDRESS);
	REFUSES(direction, 3, DECODE_DIRECTION);
	REFUSES(owner, OWNER_RECEIVE + 1, DECODE_OWNER);
	REFUSES(flags, EVENT_F_ASSURED, DECODE_FLAGS);
	REFUSES(flags, EVENT_F_IDLE, DECODE_FLAGS);
	REFUSES(state, 0, DECODE_STATE);
	REFUSES(state, 14, DECODE_STATE);
	REFUSES(error, 4096, DECODE_ERROR);
	REFUSES(closer, CLOSER_REMOTE + 1, DECODE_CLOSER);
	REFUSES(ecn, 2, DECODE_CLOSER);
	REFUSES(pad, 1, DECODE_CLOSER);
	REFUSES(cpu, EVENT_CPUS, DECODE_CPU);
}

static void test_decode_takes_every_state_type_and_owner(void **state)
{
	(void)state;
	for (int value = 1; value <= 13; value++)
		REFUSES(state, (uint8_t)value, DECODE_OK);
	for (int value = EVENT_OPEN; value <= EVENT_CLOSE; value++)
		REFUSES(type, (uint8_t)value, DECODE_OK);
	REFUSES(type, EVENT_LISTENER, DECODE_OK);
	for (int value = OWNER_UNKNOWN; value <= OWNER_RECEIVE; value++)
		REFUSES(owner, (uint8_t)value, DECODE_OK);
}

static void test_decode_udp_has_no_state_and_flags_of_its_own(void **state)
{
	struct event event = good();

	(void)state;
	event.protocol = 17;
	event.flags = EVENT_F_ASSURED | EVENT_F_IDLE;
	assert_int_equal(decode(&event), DECODE_STATE);
	event.state = 0;
	assert_int_equal(decode(&event), DECODE_OK);
	event.flags = EVENT_F_ASSURED | EVENT_F_PARTIAL | EVENT_F_SEEDED;
	assert_int_equal(decode(&event), DECODE_OK);
	event.flags = 16;
	assert_int_equal(decode(&event), DECODE_FLAGS);
}

static void test_decode_an_ipv6_address_is_all_address(void **state)
{
	struct event event = good();

	(void)state;
	event.family = 6;
	memset(event.saddr, 0xff, sizeof(event.saddr));
	assert_int_equal(decode(&event), DECODE_OK);
}

static void test_decode_a_walk_needs_only_its_head(void **state)
{
	struct event event = {.size = sizeof(event),
			      .version = EVENT_VERSION,
			      .type = EVENT_WALK,
			      .cpu = EVENT_CPU_WALK,
			      .walk_id = 7};

	(void)state;
	assert_int_equal(decode(&event), DECODE_OK);
	event.cpu = EVENT_CPUS;
	assert_int_equal(decode(&event), DECODE_CPU);
}

static void test_decode_every_result_has_a_text(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < DECODE_RESULT_COUNT; i++)
		assert_non_null(decode_result_text((enum decode_result)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_takes_a_good_record_as_it_is),
		cmocka_unit_test(test_decode_takes_bytes_that_are_not_aligned),
		cmocka_unit_test(test_decode_refuses_every_other_length),
		cmocka_unit_test(test_decode_refuses_each_bad_member),
		cmocka_unit_test(test_decode_takes_every_state_type_and_owner),
		cmocka_unit_test(test_decode_udp_has_no_state_and_flags_of_its_own),
		cmocka_unit_test(test_decode_an_ipv6_address_is_all_address),
		cmocka_unit_test(test_decode_a_walk_needs_only_its_head),
		cmocka_unit_test(test_decode_every_result_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
