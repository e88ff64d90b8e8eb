/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet: many hosts that poll one server, by the poller's own schedule; or, with --reports, that
 * report to one by the poller's own rule, each --change seconds after the start what a poll within
 * the next interval found, and once more a probation later that it did well. Time is simulated,
 * nothing is sent. Prints a line per second: the second, polls or reports, those that succeeded,
 * and hosts whose first success since --mark it was, separated by tabs.
 */
#include <err.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "poller/due.h"
#include "poller/schedule.h"

#define SECOND_MS 1000u

struct options {
	uint32_t hosts, interval_s, seconds;
	uint32_t spread_s;             /* hosts start within so long */
	uint32_t outage_s, restored_s; /* no poll succeeds from the one to the other */
	uint32_t capacity;             /* polls that can succeed in a second; 0: all */
	uint32_t timeout_s;            /* a poll that fails takes so long */
	uint32_t mark_s;
	uint32_t reports;     /* 1: not polls */
	uint32_t change_s;    /* a configuration is published; 0: none is */
	uint32_t probation_s; /* of it */
	uint32_t seed;
};

struct host {
	struct schedule schedule;
	struct due due;
	uint64_t found_ms; /* that configuration */
	bool marked;       /* had a success since the mark */
};

struct event {
	uint64_t at_ms;
	uint32_t host;
};

/* A binary heap: each host has one event, its next poll. */
struct queue {
	struct event *events;
	uint32_t count;
};

struct tally {
	uint32_t polls, served, learned;
};

struct fleet {
	struct options options;
	struct host *hosts;
	struct queue queue;
	struct tally tally;
	uint64_t random;
};

/* SplitMix64: the same run for the same seed, on every machine. */
static uint64_t draw(struct fleet *fleet)
{
	uint64_t z = fleet->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void swap(struct event *a, struct event *b)
{
	struct event kept = *a;

	*a = *b;
	*b = kept;
}

static void push(struct queue *queue, struct event event)
{
	uint32_t at = queue->count++;

	queue->events[at] = event;
	while (at && queue->events[at].at_ms < queue->events[(at - 1) / 2].at_ms) {
		swap(&queue->events[at], &queue->events[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static struct event pop(struct queue *queue)
{
	struct event first = queue->events[0];
	uint32_t at = 0;

	queue->events[0] = queue->events[--queue->count];
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < queue->count &&
			    queue->events[child].at_ms < queue->events[least].at_ms)
				least = child;
		if (least == at)
			return first;
		swap(&queue->events[at], &queue->events[least]);
		at = least;
	}
}

static bool succeeds(const struct fleet *fleet, uint64_t at_ms)
{
	const struct options *options = &fleet->options;
	uint64_t second = at_ms / SECOND_MS;

	if (second >= options->outage_s && second < options->restored_s)
		return false;
	return !options->capacity || fleet->tally.served < options->capacity;
}

static bool count(struct fleet *fleet, struct event event)
{
	struct host *host = &fleet->hosts[event.host];
	bool success = succeeds(fleet, event.at_ms);

	fleet->tally.polls++;
	fleet->tally.served += success;
	if (success && !host->marked && event.at_ms / SECOND_MS >= fleet->options.mark_s) {
		host->marked = true;
		fleet->tally.learned++;
	}
	return success;
}

static uint64_t passed_ms(const struct fleet *fleet, const struct host *host)
{
	return host->found_ms + (uint64_t)fleet->options.probation_s * SECOND_MS;
}

/* What there is to report: nothing new, on probation, in force. */
static uint64_t news_at(const struct fleet *fleet, const struct host *host, uint64_t at_ms)
{
	if (!fleet->options.change_s || at_ms < host->found_ms)
		return 0;
	return at_ms < passed_ms(fleet, host) ? 1 : 2;
}

/* When the host looks again whether a report is due: then, or when there is something new. */
static uint64_t next_look_ms(const struct fleet *fleet, const struct host *host, uint64_t at_ms)
{
	uint64_t next_ms = due_at_ms(&host->due, news_at(fleet, host, at_ms));
	const uint64_t news_ms[] = {host->found_ms, passed_ms(fleet, host)};

	for (size_t i = 0; i < 2 && fleet->options.change_s; i++)
		if (news_ms[i] > at_ms && news_ms[i] < next_ms)
			next_ms = news_ms[i];
	return next_ms > at_ms ? next_ms : at_ms + 1;
}

static void report_once(struct fleet *fleet, struct event event)
{
	struct host *host = &fleet->hosts[event.host];
	uint64_t news = news_at(fleet, host, event.at_ms);

	if (due_at_ms(&host->due, news) <= event.at_ms)
		due_note(&host->due, news, count(fleet, event), 0, event.at_ms, draw(fleet));
	event.at_ms = next_look_ms(fleet, host, event.at_ms);
	push(&fleet->queue, event);
}

static void poll_once(struct fleet *fleet, struct event event)
{
	struct host *host = &fleet->hosts[event.host];
	bool success = count(fleet, event);

	schedule_note(&host->schedule, success);
	event.at_ms += success ? 0 : (uint64_t)fleet->options.timeout_s * SECOND_MS;
	event.at_ms += schedule_next_ms(&host->schedule, draw(fleet));
	push(&fleet->queue, event);
}

static void begin_reports(struct fleet *fleet, struct host *host, uint64_t at_ms)
{
	const struct options *options = &fleet->options;
	uint32_t interval_ms = options->interval_s * SECOND_MS;

	due_begin(&host->due, interval_ms, at_ms, draw(fleet));
	host->found_ms = (uint64_t)options->change_s * SECOND_MS + draw(fleet) % interval_ms;
}

static void start(struct fleet *fleet)
{
	const struct options *options = &fleet->options;
	uint64_t spread_ms = (uint64_t)options->spread_s * SECOND_MS;

	for (uint32_t i = 0; i < options->hosts; i++) {
		uint64_t at_ms = spread_ms ? draw(fleet) % spread_ms : 0;

		fleet->hosts[i].schedule.interval_ms = options->interval_s * SECOND_MS;
		if (options->reports)
			begin_reports(fleet, &fleet->hosts[i], at_ms);
		push(&fleet->queue, (struct event){.at_ms = at_ms, .host = i});
	}
}

static void run(struct fleet *fleet)
{
	for (uint32_t second = 0; second < fleet->options.seconds; second++) {
		const struct tally *tally = &fleet->tally;

		fleet->tally = (struct tally){.polls = 0};
		while (fleet->queue.events[0].at_ms / SECOND_MS == second)
			(fleet->options.reports ? report_once : poll_once)(fleet,
									   pop(&fleet->queue));
		printf("%u\t%u\t%u\t%u\n", second, tally->polls, tally->served, tally->learned);
	}
}

static uint32_t read_number(const char *name, const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > 100u * 1000 * 1000)
		errx(EX_USAGE, "--%s: \"%s\" is not a number up to 100,000,000", name, text);
	return (uint32_t)value;
}

static void read_options(int argc, char **argv, struct options *options)
{
	static struct option names[] = {
		{"hosts", required_argument, NULL, 0},    {"interval", required_argument, NULL, 0},
		{"seconds", required_argument, NULL, 0},  {"spread", required_argument, NULL, 0},
		{"outage", required_argument, NULL, 0},   {"restored", required_argument, NULL, 0},
		{"capacity", required_argument, NULL, 0}, {"timeout", required_argument, NULL, 0},
		{"mark", required_argument, NULL, 0},     {"reports", required_argument, NULL, 0},
		{"change", required_argument, NULL, 0},   {"probation", required_argument, NULL, 0},
		{"seed", required_argument, NULL, 0},     {NULL, 0, NULL, 0},
	};
	uint32_t *const values[] = {
		&options->hosts,    &options->interval_s, &options->seconds,  &options->spread_s,
		&options->outage_s, &options->restored_s, &options->capacity, &options->timeout_s,
		&options->mark_s,   &options->reports,    &options->change_s, &options->probation_s,
		&options->seed,
	};
	int index, got;

	while ((got = getopt_long(argc, argv, "", names, &index)) == 0)
		*values[index] = read_number(names[index].name, optarg);
	if (got != -1 || optind != argc || !options->hosts || !options->interval_s)
		errx(EX_USAGE, "usage: fleet [--hosts N] [--interval S] [--seconds S] [--spread S] "
			       "[--outage S --restored S] [--capacity N] [--timeout S] [--mark S] "
			       "[--reports 1 [--change S --probation S]] [--seed N]");
}

int main(int argc, char **argv)
{
	struct fleet fleet = {
		.options = {.hosts = 100000, .interval_s = 60, .seconds = 3600, .seed = 1}};

	read_options(argc, argv, &fleet.options);
	fleet.random = fleet.options.seed;
	fleet.hosts = calloc(fleet.options.hosts, sizeof(*fleet.hosts));
	fleet.queue.events = calloc(fleet.options.hosts, sizeof(*fleet.queue.events));
	if (!fleet.hosts || !fleet.queue.events)
		err(EX_OSERR, "%u hosts", fleet.options.hosts);
	start(&fleet);
	run(&fleet);
	free(fleet.hosts);
	free(fleet.queue.events);
	return 0;
}
