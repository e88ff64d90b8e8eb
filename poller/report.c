/* SPDX-License-Identifier: Apache-2.0 */
#include "poller/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/fnv.h"
#include "common/log.h"
#include "common/put.h"
#include "common/source_json.h"
#include "poller/network.h"
#include "poller/source.h"

#define TIMEOUT_S 10u /* of one report; less if polls are more often */

/* Without randomness it is merely sooner. */
static uint64_t draw(void)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = 0;
	return random;
}

/* --- what it says --------------------------------------------------------------------------------
 */

static size_t write_text(struct report *report, const struct msg_source *source,
			 uint64_t errors_in_row, uint64_t next_poll_ms)
{
	struct jsonbuf json;

	jsonbuf_init(&json, report->text, sizeof(report->text) - 1);
	jsonbuf_open(&json, '{');
	put_text(&json, "version", VERSION);
	jsonbuf_key(&json, "source");
	jsonbuf_open(&json, '{');
	source_json_put(&json, report->config->host, source, errors_in_row, next_poll_ms);
	jsonbuf_close(&json, '}');
	jsonbuf_close(&json, '}');
	report->text[json.len] = '\0';
	return json.full ? 0 : json.len;
}
/* Of a text that may be escaped, six bytes for one; names, numbers and times of the rest. */
_Static_assert(REPORT_BYTES_MAX > 6 * (CONFIG_PATH_MAX + 4 * MSG_TEXT_MAX +
				       MSG_PARTS_MAX * sizeof(struct msg_part_state)) +
					  MSG_PARTS_MAX * 64 + MSG_ROLES * 256 + 1024,
	       "report: room for the longest");

/* What is news: not what counts up or down from one poll to the next. */
static uint64_t hash_news(struct report *report, const struct msg_source *source)
{
	static struct msg_source news;

	news = *source;
	news.probation_left_ms = 0;
	return fnv1a(FNV1A_START, report->text, write_text(report, &news, 0, 0));
}

/* --- one report ----------------------------------------------------------------------------------
 */

/* A failure is logged when it begins or changes. */
static void note_failure(struct report *report)
{
	report->failed++;
	if (strcmp(report->error, report->options.why) == 0)
		return;
	snprintf(report->error, sizeof(report->error), "%s", report->options.why);
	log_warning("report: %s: %s", report->config->report, report->error);
}

static void note_end(struct report *report, bool taken)
{
	due_note(&report->due, report->hash, taken, source_wait_ms(report->options.retry_after_s),
		 loop_now_ms(), draw());
	report->under_way = false;
	if (!taken) {
		note_failure(report);
	} else {
		report->sent++;
		if (report->error[0])
			log_info("report: taken again");
		report->error[0] = '\0';
	}
	(void)loop_timer_set(report->step_fd, 0, 0);
	report->ask(report->ctx);
}

static void on_step(void *ctx, uint32_t events)
{
	struct report *report = ctx;
	int err;

	(void)events;
	if (!loop_timer_ack(report->step_fd) || !report->under_way)
		return;
	err = post_go_on(report->post);
	if (err != -EINPROGRESS)
		note_end(report, err == 0);
}

static void begin(struct report *report)
{
	int err = post_begin(report->post, report->config->report, report->text);

	report->under_way = true;
	if (err == -EINPROGRESS)
		(void)loop_timer_set(report->step_fd, POST_STEP_MS, POST_STEP_MS);
	else
		note_end(report, err == 0);
}

void report_look(struct report *report, const struct msg_source *source, uint64_t errors_in_row,
		 uint64_t next_poll_ms)
{
	uint64_t now_ms = loop_now_ms(), at_ms;

	/* When that has ended, it is asked for again. */
	if (!report->post || report->under_way)
		return;
	report->hash = hash_news(report, source);
	at_ms = due_at_ms(&report->due, report->hash);
	if (at_ms > now_ms) {
		(void)loop_timer_set(report->due_fd, (uint32_t)(at_ms - now_ms), 0);
		return;
	}
	(void)write_text(report, source, errors_in_row, next_poll_ms);
	begin(report);
}

static void on_due(void *ctx, uint32_t events)
{
	struct report *report = ctx;

	(void)events;
	if (loop_timer_ack(report->due_fd))
		report->ask(report->ctx);
}

/* --- the beginning -------------------------------------------------------------------------------
 */

static uint32_t timeout_s(const struct config_source *config)
{
	uint32_t interval_s = config->interval_ms / 1000;

	return interval_s < 1 ? 1 : interval_s < TIMEOUT_S ? interval_s : TIMEOUT_S;
}

int report_open(struct report *report, const struct config_source *config,
		struct sandbox_needs *needs, char *why, size_t cap)
{
	int err;

	report->config = config;
	if (!config->report[0])
		return 0;
	report->options =
		(struct fetch_options){.agent = "conntrace-poller/" VERSION,
				       .ca_file = config->ca[0] ? config->ca : NULL,
				       .timeout_s = timeout_s(config),
				       .loopback_http = strncmp(config->report, "http://", 7) == 0};
	err = post_open(&report->post, &report->options);
	if (err) {
		snprintf(why, cap, "report: %.200s", report->options.why);
		return err;
	}
	due_begin(&report->due, config->interval_ms, loop_now_ms(), draw());
	return network_need(config->report, config->ca, needs, why, cap);
}

int report_begin(struct report *report, struct loop *loop, void (*ask)(void *ctx), void *ctx)
{
	if (!report->post)
		return 0;
	report->ask = ask;
	report->ctx = ctx;
	report->due_fd = loop_timer(loop, 0, 0, on_due, report);
	report->step_fd = loop_timer(loop, 0, 0, on_step, report);
	return report->due_fd < 0 ? report->due_fd : report->step_fd < 0 ? report->step_fd : 0;
}
