/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/dispatch.h"

/*
 * Who may send what to whom, when, with how many fds: written down a second time, so that a slip in
 * the catalogue is seen. s supervisor, l loader, e exporter, p poller, v verifier, c command line;
 * S starting, R ready, U running.
 */
static const struct expected {
	const char *name;
	const char *from, *to, *phases;
	uint32_t fds_min, fds_max;
} expected[MSG_TYPE_COUNT] = {
	[MSG_HELLO] = {"HELLO", "lepv", "s", "S", 0, 0},
	[MSG_CONFIG] = {"CONFIG", "s", "lep", "R", 0, 0},
	[MSG_START] = {"START", "s", "lep", "R", 0, 48},
	[MSG_STEP] = {"STEP", "l", "s", "RU", 0, 0},
	[MSG_OUTCOME] = {"OUTCOME", "l", "s", "R", 0, 0},
	[MSG_TRACER] = {"TRACER", "l", "s", "RU", 0, 0},
	[MSG_LOADED] = {"LOADED", "l", "s", "R", 1, 48},
	[MSG_READY] = {"READY", "lep", "s", "R", 0, 0},
	[MSG_HEALTH] = {"HEALTH", "lep", "s", "RU", 0, 0},
	[MSG_STATS] = {"STATS", "lep", "s", "U", 0, 0},
	[MSG_WALK] = {"WALK", "s", "l", "U", 0, 0},
	[MSG_CANDIDATE] = {"CANDIDATE", "p", "s", "U", 1, 1},
	[MSG_CHECK] = {"CHECK", "s", "v", "R", 1, 4},
	[MSG_CHECKED] = {"CHECKED", "v", "s", "R", 0, 0},
	[MSG_VERDICT] = {"VERDICT", "s", "p", "U", 0, 0},
	[MSG_CLIENT] = {"CLIENT", "s", "e", "U", 1, 1},
	[MSG_FAIL] = {"FAIL", "lepv", "s", "SRU", 0, 0},
	[MSG_BYE] = {"BYE", "lepv", "s", "SRU", 0, 0},
	[MSG_ASK] = {"ASK", "c", "s", "SRU", 0, 0},
	[MSG_PROCESS] = {"PROCESS", "s", "c", "SRU", 0, 0},
	[MSG_LADDER] = {"LADDER", "s", "c", "SRU", 0, 0},
	[MSG_PROBES] = {"PROBES", "s", "c", "SRU", 0, 0},
	[MSG_TROUBLE] = {"TROUBLE", "s", "c", "SRU", 0, 0},
	[MSG_SUMMARY] = {"SUMMARY", "s", "c", "SRU", 0, 0},
	[MSG_RECORDS] = {"RECORDS", "e", "c", "SRU", 0, 0},
	[MSG_DONE] = {"DONE", "se", "c", "SRU", 0, 0},
	[MSG_TAKEN] = {"TAKEN", "s", "l", "U", 0, 0},
	[MSG_KEEP] = {"KEEP", "v", "s", "R", 0, 0},
	[MSG_POLLED] = {"POLLED", "p", "s", "U", 0, 0},
	[MSG_SOURCE] = {"SOURCE", "s", "pc", "SRU", 0, 0},
	[MSG_HISTORY] = {"HISTORY", "s", "c", "SRU", 0, 0},
	[MSG_IN_FORCE] = {"IN_FORCE", "s", "c", "SRU", 0, 0},
	[MSG_CUSTODY] = {"CUSTODY", "s", "s", "SRU", 0, 48},
	[MSG_NAT] = {"NAT", "sl", "se", "RU", 0, 2},
};

static const char role_letters[ROLE_COUNT + 1] = "slepvc";
static const char phase_letters[PHASE_COUNT + 1] = "SRU";

struct handled {
	uint32_t times;
	uint32_t take; /* fds to keep, from the first */
	int kept[PROTO_FDS_MAX];
	int answer;
	union msg msg;
};

static int on_any(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct handled *handled = ctx;

	handled->times++;
	handled->msg = *msg;
	for (uint32_t i = 0; i < handled->take; i++)
		handled->kept[i] = dispatch_take_fd(fds, i);
	return handled->answer;
}

static struct dispatch_table all_of(enum role self)
{
	struct dispatch_table table = {.self = self};

	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++)
		table.handlers[t] = on_any;
	return table;
}

static struct dispatch_fds some_fds(uint32_t count)
{
	struct dispatch_fds fds = {.count = count};

	for (uint32_t i = 0; i < count; i++) {
		fds.fds[i] = dup(STDERR_FILENO);
		assert_true(fds.fds[i] >= 0);
	}
	return fds;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool may(const struct expected *e, enum role self, enum role from, enum phase phase,
		uint32_t fd_count)
{
	return strchr(e->from, role_letters[from]) && strchr(e->to, role_letters[self]) &&
	       strchr(e->phases, phase_letters[phase]) && fd_count >= e->fds_min &&
	       fd_count <= e->fds_max;
}

/*
 * The frame has a type and nothing else, so that what is permitted is then refused as malformed,
 * and what isn't never gets so far.
 */
static void check_combination(uint32_t type, enum role self, enum role from, enum phase phase,
			      uint32_t fd_count)
{
	const struct dispatch_table table = all_of(self);
	const uint8_t frame[] = {0x91, (uint8_t)type};
	/* Numbers that are nobody's fds: closing them is harmless. */
	struct dispatch_fds fds = {.count = fd_count};
	struct handled handled = {0};
	struct dispatch_error error;
	union msg room;
	bool passed;

	for (uint32_t i = 0; i < fd_count; i++)
		fds.fds[i] = 100000;
	assert_int_equal(dispatch_frame(&table, from, phase, frame, sizeof(frame), &fds, &room,
					&handled, &error),
			 -EPROTO);
	assert_int_equal(error.type, type);
	assert_int_equal(handled.times, 0);
	passed = strcmp(error.reason, "malformed") == 0;
	if (passed != may(&expected[type], self, from, phase, fd_count))
		fail_msg("%s from %s to %s, %s, %u fds: %s", expected[type].name,
			 proto_role_name(from), proto_role_name(self), proto_phase_name(phase),
			 fd_count, error.reason);
}

static void test_dispatch_permits_what_the_catalogue_says_and_no_more(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		assert_string_equal(proto_row(t)->name, expected[t].name);
		for (uint32_t self = 0; self < ROLE_COUNT; self++)
			for (uint32_t from = 0; from < ROLE_COUNT; from++)
				for (uint32_t phase = 0; phase < PHASE_COUNT; phase++)
					for (uint32_t n = 0; n <= PROTO_FDS_MAX; n++)
						check_combination(t, self, from, phase, n);
	}
}

static int give(const struct dispatch_table *table, enum phase phase, const uint8_t *frame,
		size_t len, struct dispatch_fds *fds, struct handled *handled,
		struct dispatch_error *error)
{
	static union msg room;

	return dispatch_frame(table, ROLE_POLLER, phase, frame, len, fds, &room, handled, error);
}

static void test_dispatch_hands_over_what_was_sent(void **state)
{
	const struct dispatch_table table = all_of(ROLE_SUPERVISOR);
	struct dispatch_fds none = {.count = 0};
	struct handled handled = {0};
	struct dispatch_error error;
	uint8_t frame[64];
	int len = msg_pack(MSG_HEALTH, &(struct msg_health){.count = 77}, frame, sizeof(frame));

	(void)state;
	assert_int_equal(give(&table, PHASE_RUNNING, frame, (size_t)len, &none, &handled, &error),
			 0);
	assert_int_equal(handled.times, 1);
	assert_int_equal(handled.msg.health.count, 77);
	handled.answer = -EPROTO;
	assert_int_equal(give(&table, PHASE_RUNNING, frame, (size_t)len, &none, &handled, &error),
			 -EPROTO);
	assert_string_equal(error.reason, "refused by its handler");
}

static void test_dispatch_refuses_what_has_no_handler(void **state)
{
	struct dispatch_table table = all_of(ROLE_SUPERVISOR);
	struct dispatch_fds none = {.count = 0};
	struct handled handled = {0};
	struct dispatch_error error;
	uint8_t frame[64];
	int len = msg_pack(MSG_HEALTH, &(struct msg_health){0}, frame, sizeof(frame));

	(void)state;
	table.handlers[MSG_HEALTH] = NULL;
	assert_int_equal(give(&table, PHASE_RUNNING, frame, (size_t)len, &none, &handled, &error),
			 -EPROTO);
	assert_string_equal(error.reason, "not for this process");
}

static void test_dispatch_refuses_unknown_empty_and_oversized(void **state)
{
	static const uint8_t unknown[] = {0x92, MSG_TYPE_COUNT, 0}, zero[] = {0x92, MSG_NONE, 0},
			     text[] = {0xa1, 'x'};
	static uint8_t large[PROTO_FRAME_MAX] = {0x92, MSG_HEALTH};
	const struct dispatch_table table = all_of(ROLE_SUPERVISOR);
	const struct {
		const uint8_t *frame;
		size_t len;
		const char *reason;
	} rows[] = {
		{unknown, sizeof(unknown), "unknown message type"},
		{zero, sizeof(zero), "unknown message type"},
		{text, sizeof(text), "no message"},
		{text, 0, "no message"},
		{large, sizeof(large), "too large for its type"},
		{large, 65, "too large for its type"},
		{large, 64, "malformed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dispatch_fds none = {.count = 0};
		struct handled handled = {0};
		struct dispatch_error error;

		assert_int_equal(give(&table, PHASE_RUNNING, rows[i].frame, rows[i].len, &none,
				      &handled, &error),
				 -EPROTO);
		assert_string_equal(error.reason, rows[i].reason);
		assert_int_equal(handled.times, 0);
	}
}

static void test_dispatch_closes_fds_of_a_refused_message(void **state)
{
	const struct dispatch_table table = all_of(ROLE_SUPERVISOR);
	static const uint8_t health[] = {0x92, MSG_HEALTH, 0}, noise[] = {0xff};
	const struct {
		const uint8_t *frame;
		size_t len;
	} rows[] = {{health, sizeof(health)}, {noise, sizeof(noise)}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct dispatch_fds fds = some_fds(3), copy = fds;
		struct handled handled = {0};
		struct dispatch_error error;

		assert_int_equal(give(&table, PHASE_RUNNING, rows[i].frame, rows[i].len, &fds,
				      &handled, &error),
				 -EPROTO);
		for (uint32_t n = 0; n < 3; n++)
			assert_false(is_open(copy.fds[n]));
	}
}

static void test_dispatch_leaves_only_taken_fds_open(void **state)
{
	const struct dispatch_table table = all_of(ROLE_EXPORTER);
	struct dispatch_fds fds = some_fds(4), copy = fds;
	struct handled handled = {.take = 2};
	struct dispatch_error error;
	struct msg_start start = {.manifest.fd_count = 0};
	uint8_t frame[64];
	union msg room;
	int len = msg_pack(MSG_START, &start, frame, sizeof(frame));

	(void)state;
	assert_int_equal(dispatch_frame(&table, ROLE_SUPERVISOR, PHASE_READY, frame, (size_t)len,
					&fds, &room, &handled, &error),
			 0);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(is_open(copy.fds[n]), n < 2);
	close(handled.kept[0]);
	close(handled.kept[1]);
}

static void test_dispatch_gives_each_fd_once(void **state)
{
	struct dispatch_fds fds = {.fds = {7, 8}, .count = 2};

	(void)state;
	assert_int_equal(dispatch_take_fd(&fds, 1), 8);
	assert_int_equal(dispatch_take_fd(&fds, 1), -1);
	assert_int_equal(dispatch_take_fd(&fds, 0), 7);
	assert_int_equal(dispatch_take_fd(&fds, 2), -1);
	assert_int_equal(dispatch_take_fd(&fds, UINT32_MAX), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dispatch_permits_what_the_catalogue_says_and_no_more),
		cmocka_unit_test(test_dispatch_hands_over_what_was_sent),
		cmocka_unit_test(test_dispatch_refuses_what_has_no_handler),
		cmocka_unit_test(test_dispatch_refuses_unknown_empty_and_oversized),
		cmocka_unit_test(test_dispatch_closes_fds_of_a_refused_message),
		cmocka_unit_test(test_dispatch_leaves_only_taken_fds_open),
		cmocka_unit_test(test_dispatch_gives_each_fd_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
