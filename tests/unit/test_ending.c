/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection ended: every rule, and the two ends of a connection have one pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "record/ending.h"

static const struct {
	uint8_t state;
	uint16_t error;
	const char *word;
} cases[] = {
	{TCP_SYN_SENT, ECONNREFUSED, "refused"},
	{TCP_SYN_SENT, 0, "cancelled"},
	{TCP_SYN_SENT, ETIMEDOUT, "timeout"},
	{TCP_SYN_SENT, EHOSTUNREACH, "unreachable"},
	{TCP_SYN_SENT, ENETUNREACH, "unreachable"},
	{TCP_SYN_SENT, EACCES, "error"},
	{TCP_SYN_RECV, ECONNRESET, "reset_in"},
	{TCP_ESTABLISHED, ECONNRESET, "reset_in"},
	{TCP_ESTABLISHED, ETIMEDOUT, "timeout"},
	{TCP_ESTABLISHED, ECONNABORTED, "aborted"},
	{TCP_ESTABLISHED, 0, "reset_out"},
	{TCP_ESTABLISHED, ECONNREFUSED, "error"},
	{TCP_CLOSE_WAIT, EPIPE, "reset_in"},
	{TCP_CLOSE_WAIT, 0, "reset_out"},
	{TCP_FIN_WAIT1, 0, "fin"},
	{TCP_FIN_WAIT1, ETIMEDOUT, "timeout"},
	{TCP_FIN_WAIT2, 0, "fin"},
	{TCP_CLOSING, 0, "fin"},
	{TCP_LAST_ACK, 0, "fin"},
	{TCP_LAST_ACK, ECONNRESET, "reset_in"},
	{TCP_CLOSE, 0, "unknown"},
};

static void test_every_way_to_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event event = {
			.type = EVENT_CLOSE, .state = cases[i].state, .error = cases[i].error};

		assert_string_equal(ending_word(&event), cases[i].word);
	}
}

static void test_a_live_connection_has_not_ended(void **state)
{
	struct event event = {.type = EVENT_UPDATE, .state = TCP_ESTABLISHED};

	(void)state;
	assert_null(ending_word(&event));
	event.type = EVENT_OPEN;
	assert_null(ending_word(&event));
}

static void test_closers(void **state)
{
	(void)state;
	assert_null(ending_closer(CLOSER_NONE));
	assert_string_equal(ending_closer(CLOSER_LOCAL), "local");
	assert_string_equal(ending_closer(CLOSER_REMOTE), "remote");
	assert_null(ending_closer(CLOSER_REMOTE + 1));
}

static struct event turned_round(const struct event *event)
{
	struct event other = *event;

	memcpy(other.saddr, event->daddr, sizeof(other.saddr));
	memcpy(other.daddr, event->saddr, sizeof(other.daddr));
	other.sport = event->dport;
	other.dport = event->sport;
	return other;
}

static void test_both_ends_have_one_pair(void **state)
{
	struct event event = {.family = 4,
			      .sport = 40000,
			      .dport = 80,
			      .saddr = {10, 0, 0, 1},
			      .daddr = {10, 0, 0, 2}};
	struct event other = turned_round(&event), same_host = event, changed = event;

	(void)state;
	assert_int_equal(ending_pair(&event), ending_pair(&other));
	memcpy(same_host.daddr, same_host.saddr, sizeof(same_host.daddr));
	other = turned_round(&same_host);
	assert_int_equal(ending_pair(&same_host), ending_pair(&other));
	assert_int_not_equal(ending_pair(&same_host), ending_pair(&event));
	changed.sport++;
	assert_int_not_equal(ending_pair(&changed), ending_pair(&event));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way_to_end),
		cmocka_unit_test(test_a_live_connection_has_not_ended),
		cmocka_unit_test(test_closers),
		cmocka_unit_test(test_both_ends_have_one_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
