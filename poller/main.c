/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace-poller: looks at the configuration's source and hands what changed to the supervisor,
 * unread. It can withhold configuration, but not make any: the verifier checks every byte.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/child.h"
#include "common/log.h"
#include "common/memfd.h"
#include "poller/report.h"
#include "poller/sandbox.h"
#include "poller/schedule.h"
#include "poller/source.h"
#include "poller/source_dir.h"
#include "poller/source_rc.h"
#include "poller/source_tuf.h"

struct poller {
	struct child child;
	struct config config;
	struct schedule schedule;
	bool configured;
	const struct source *source;
	void *source_self;
	int timer_fd;
	uint64_t next_ms;
	bool stopped;  /* the server has nothing for us: not again until reload */
	uint64_t sent; /* hash of the content last sent */
	bool any_sent;
	bool awaiting; /* the verdict on it */
	uint64_t polls, candidates, errors, errors_in_row;
	struct msg_polled polled; /* why: logged; "" = the last poll succeeded */
	struct source_look look;
	struct report report;
};

static int on_config(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;

	(void)fds;
	if (config_inconsistent(&msg->config.config))
		return -EPROTO;
	poller->config = msg->config.config;
	poller->schedule.interval_ms = poller->config.source.interval_ms;
	poller->configured = true;
	return 0;
}

/* The supervisor's status says how polls end; if that is reported it answers with SOURCE. */
static void tell(void *ctx)
{
	struct poller *poller = ctx;

	memcpy(poller->polled.report_error, poller->report.error,
	       sizeof(poller->polled.report_error));
	(void)child_send(&poller->child, MSG_POLLED, &poller->polled, NULL, 0);
}

/* A failure is logged when it begins or changes, not at each poll. Returns whether that is so. */
static bool note_failure(struct poller *poller, const char *why, int err)
{
	char text[MSG_TEXT_MAX];

	poller->errors++;
	if (err == SOURCE_FAILED || err == SOURCE_UNIMPLEMENTED)
		snprintf(text, sizeof(text), "%.200s%s", why,
			 err == SOURCE_FAILED ? "" : ": not asked again until reload");
	else
		snprintf(text, sizeof(text), "%.180s%s%s", why, *why ? ": " : "", strerror(-err));
	if (strcmp(text, poller->polled.why) == 0)
		return false;
	memcpy(poller->polled.why, text, sizeof(text));
	poller->polled.result = err == SOURCE_UNIMPLEMENTED ? POLL_STOPPED : POLL_FAILED;
	/* Until it was there once it may be that we are early. */
	if (poller->schedule.succeeded)
		log_warning("source: %s", text);
	else
		log_info("source: %s", text);
	return true;
}

static bool note_success(struct poller *poller)
{
	bool news = poller->polled.result != POLL_OK;

	if (poller->polled.why[0])
		log_info("source: readable again");
	poller->polled.why[0] = '\0';
	poller->polled.result = POLL_OK;
	return news;
}

static int send_candidate(struct poller *poller)
{
	const struct source_look *look = &poller->look;
	int fd = memfd_seal("candidate", look->bytes, look->len_bytes);
	int err;

	if (fd < 0)
		return fd;
	err = child_send(&poller->child, MSG_CANDIDATE, &look->what, &fd, 1);
	close(fd);
	return err;
}

/* Sends what is there if it isn't what was sent last. The first look is always sent, an empty one
   too: the supervisor may still have what an earlier poller saw. */
static int send_if_changed(struct poller *poller)
{
	uint64_t hash = source_look_hash(&poller->look);
	int err;

	if (!poller->look.found || (poller->any_sent && hash == poller->sent))
		return 0;
	err = send_candidate(poller);
	if (err)
		return err;
	poller->candidates++;
	poller->sent = hash;
	poller->any_sent = true;
	poller->awaiting = true;
	return 0;
}

static void poll_once(struct poller *poller)
{
	struct source_look *look = &poller->look;
	int err, unsent;
	bool news;

	memset(look, 0, sizeof(*look));
	err = poller->source->look(poller->source_self, look);
	poller->polls++;
	unsent = send_if_changed(poller);
	if (!err && unsent) {
		snprintf(look->why, sizeof(look->why), "candidate can't be sent");
		err = unsent;
	}
	poller->errors_in_row = err ? poller->errors_in_row + 1 : 0;
	schedule_note(&poller->schedule, err == 0);
	if (err == SOURCE_UNIMPLEMENTED)
		poller->stopped = true;
	news = err ? note_failure(poller, look->why, err) : note_success(poller);
	if (news || poller->report.post)
		tell(poller);
}

static void arm(struct poller *poller)
{
	uint64_t random = 0;
	uint32_t wait_ms;

	if (poller->stopped)
		return;
	/* Without randomness the wait is merely at its lower bound. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = 0;
	wait_ms = schedule_next_ms(&poller->schedule, random);
	if (wait_ms < poller->look.wait_ms)
		wait_ms = poller->look.wait_ms;
	poller->next_ms = loop_now_ms() + wait_ms;
	(void)loop_timer_set(poller->timer_fd, wait_ms, 0);
}

static void on_timer(void *ctx, uint32_t events)
{
	struct poller *poller = ctx;

	(void)events;
	if (!loop_timer_ack(poller->timer_fd))
		return;
	poll_once(poller);
	arm(poller);
}

static int fail(struct poller *poller, int err, const char *what)
{
	child_fail(&poller->child, 0, EX_OSERR, "%s: %s", what, strerror(-err));
	return 0;
}

static bool breathe(void *ctx)
{
	return child_breathe(ctx);
}

/* Which one a configuration names; NULL if none. */
static const struct source *source_of(const struct config *config)
{
	if (config->source.url[0])
		return &source_tuf;
	if (config->source.rc[0])
		return &source_rc;
	return config->source.dir[0] ? &source_dir : NULL;
}

/* The fd of a kind, which is the caller's from here; -1: there is none. */
static int take_fd(const struct msg_manifest *manifest, struct dispatch_fds *fds, enum fd_kind kind)
{
	for (uint32_t i = 0; i < manifest->fd_count; i++)
		if (manifest->fds[i].kind == kind)
			return dispatch_take_fd(fds, i);
	return -1;
}

/* Opens the source, and closes the rest in. Returns 0, or 1 after telling why not. */
static int open_source(struct poller *poller, const struct msg_manifest *manifest,
		       struct dispatch_fds *fds)
{
	struct source_setup setup = {.config = &poller->config,
				     .dir_fd = take_fd(manifest, fds, FD_SOURCE),
				     .root_fd = take_fd(manifest, fds, FD_ROOT),
				     .store_fd = take_fd(manifest, fds, FD_STORE),
				     .breathe = breathe,
				     .ctx = &poller->child};
	struct sandbox_needs needs = {.network = false};
	char why[MSG_TEXT_MAX] = "source";
	const char *what;
	int err = poller->source->open(&setup, &needs, &poller->source_self, why, sizeof(why));

	if (!err)
		err = report_open(&poller->report, &poller->config.source, &needs, why,
				  sizeof(why));
	/* What a person has to mend: trying again would not help. */
	if (err) {
		child_fail(&poller->child, 1, EX_NOINPUT, "%s: %s", why, strerror(-err));
		return 1;
	}
	err = sandbox_enter(&needs, &what);
	if (err)
		(void)fail(poller, err, what);
	return err ? 1 : 0;
}

static int on_start(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;
	const struct msg_manifest *manifest = &msg->start.manifest;
	int err;

	poller->source = source_of(&poller->config);
	if (!poller->configured || !poller->source || fds->count != manifest->fd_count)
		return -EPROTO;
	if (open_source(poller, manifest, fds))
		return 0;
	err = child_ready(&poller->child);
	if (err)
		return fail(poller, err, "channel");
	err = report_begin(&poller->report, &poller->child.loop, tell, poller);
	if (err)
		return fail(poller, err, "timer");
	poller->timer_fd = loop_timer(&poller->child.loop, 1, 0, on_timer, poller);
	return poller->timer_fd < 0 ? fail(poller, poller->timer_fd, "timer") : 0;
}

static int on_verdict(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;

	(void)fds;
	if (poller->source->on_verdict)
		poller->source->on_verdict(poller->source_self, &msg->verdict);
	if (msg->verdict.again)
		poller->any_sent = false;
	if (!msg->verdict.applied)
		log_warning("source: refused: %s", msg->verdict.reason);
	poller->awaiting = false;
	if (poller->report.post)
		tell(poller);
	return 0;
}

static uint64_t next_poll_ms(const struct poller *poller)
{
	uint64_t now = loop_now_ms();

	return poller->next_ms > now ? poller->next_ms - now : 0;
}

/* A report of what is under check would be of what was before it, and the next has to wait. */
static int on_source(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;

	(void)fds;
	if (!poller->awaiting)
		report_look(&poller->report, &msg->source, poller->errors_in_row,
			    next_poll_ms(poller));
	return 0;
}

static void on_stats(void *ctx, struct msg_stats *stats)
{
	const struct poller *poller = ctx;

	stats->count = STAT_POLLER_COUNT;
	stats->values[STAT_POLLER_polls] = poller->polls;
	stats->values[STAT_POLLER_candidates] = poller->candidates;
	stats->values[STAT_POLLER_errors] = poller->errors;
	stats->values[STAT_POLLER_errors_in_row] = poller->errors_in_row;
	stats->values[STAT_POLLER_next_poll_ms] = next_poll_ms(poller);
	stats->values[STAT_POLLER_reports_sent] = poller->report.sent;
	stats->values[STAT_POLLER_reports_failed] = poller->report.failed;
}

static const struct dispatch_table table = {
	.self = ROLE_POLLER,
	.handlers =
		{
			[MSG_CONFIG] = on_config,
			[MSG_START] = on_start,
			[MSG_VERDICT] = on_verdict,
			[MSG_SOURCE] = on_source,
		},
};

int main(void)
{
	static struct poller poller;

	if (child_init(&poller.child, ROLE_POLLER, &table, &poller, 0) == 0)
		poller.child.on_stats = on_stats;
	return child_run(&poller.child);
}
