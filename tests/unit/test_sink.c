/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "exporter/sink.h"

static struct sink sink;
static struct sink_tally tally;
static FILE *file;

static int open_sink(void **state)
{
	(void)state;
	file = tmpfile();
	return file ? sink_open_file(&sink, dup(fileno(file)), "test") : -1;
}

static int close_sink(void **state)
{
	(void)state;
	sink_close(&sink);
	return fclose(file);
}

static void put_line(const char *line, uint32_t type)
{
	size_t cap;
	char *out = sink_room(&sink, &cap);

	assert_non_null(out);
	assert_in_range(cap, SINK_LINE_MAX, SINK_BATCH_BYTES);
	memcpy(out, line, strlen(line));
	sink_put(&sink, strlen(line), type);
}

static void expect_content(const char *want)
{
	char got[256] = {0};

	assert_true(pread(fileno(file), got, sizeof(got) - 1, 0) >= 0);
	assert_string_equal(got, want);
}

/* A device that is full after so many bytes: what comes is written in part, then refused. */
static void limit_size(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int write_at_most(rlim_t bytes)
{
	bool progress;
	int err;

	limit_size(bytes);
	err = sink_write(&sink, 0, &progress);
	limit_size(RLIM_INFINITY);
	return err;
}

static void test_sink_counts_what_it_wrote_by_type(void **state)
{
	bool progress;

	(void)state;
	put_line("header\n", 0);
	put_line("open\n", EVENT_OPEN);
	put_line("close\n", EVENT_CLOSE);
	put_line("close\n", EVENT_CLOSE);
	assert_int_equal(sink_write(&sink, 0, &progress), 0);
	sink_settle(&sink, &tally);
	assert_int_equal(tally.delivered[0], 1);
	assert_int_equal(tally.delivered[EVENT_OPEN], 1);
	assert_int_equal(tally.delivered[EVENT_CLOSE], 2);
	assert_int_equal(tally.bytes, 24);
	expect_content("header\nopen\nclose\nclose\n");
}

/* Every length at which the output can refuse to go on. */
static void test_sink_a_line_is_delivered_or_dropped_and_never_both(void **state)
{
	static const char *const lines[] = {"{1}\n", "{22}\n", "{333}\n"};

	for (rlim_t room = 0; room <= 15; room++) {
		uint64_t seen = 0;
		char line[64];

		open_sink(state);
		for (size_t i = 0; i < 3; i++)
			put_line(lines[i], EVENT_CLOSE);
		assert_int_equal(write_at_most(room), room == 15 ? 0 : -EFBIG);
		sink_settle(&sink, &tally);
		assert_int_equal(tally.delivered[EVENT_CLOSE] + tally.dropped[EVENT_CLOSE], 3);
		put_line("{next}\n", EVENT_OPEN);
		assert_int_equal(write_at_most(RLIM_INFINITY), 0);
		rewind(file);
		while (fgets(line, sizeof(line), file))
			for (size_t i = 0; i < 3; i++)
				seen += strcmp(line, lines[i]) == 0;
		assert_int_equal(seen, tally.delivered[EVENT_CLOSE]);
		close_sink(state);
	}
}

static void test_sink_the_next_batch_ends_a_torn_line(void **state)
{
	(void)state;
	put_line("{1}\n", EVENT_CLOSE);
	put_line("{22}\n", EVENT_CLOSE);
	assert_int_equal(write_at_most(6), -EFBIG);
	sink_settle(&sink, &tally);
	put_line("{333}\n", EVENT_CLOSE);
	assert_int_equal(write_at_most(RLIM_INFINITY), 0);
	expect_content("{1}\n{2\n{333}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sink_counts_what_it_wrote_by_type, open_sink,
						close_sink),
		cmocka_unit_test(test_sink_a_line_is_delivered_or_dropped_and_never_both),
		cmocka_unit_test_setup_teardown(test_sink_the_next_batch_ends_a_torn_line,
						open_sink, close_sink),
	};

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
