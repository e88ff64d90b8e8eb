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
#include "poller/sandbox.h"
#include "poller/schedule.h"
#include "poller/source_dir.h"

struct poller {
	struct child child;
	struct schedule schedule;
	bool configured;
	int dir_fd;
	int timer_fd;
	uint64_t next_ms;
	uint64_t sent; /* hash of the content last sent */
	bool any_sent;
	uint64_t polls, candidates, errors, errors_in_row;
	char failure[MSG_TEXT_MAX]; /* logged; "" = the last poll succeeded */
	struct source_texts texts;
};

static int on_config(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;

	(void)fds;
	if (config_inconsistent(&msg->config.config))
		return -EPROTO;
	poller->schedule.interval_ms = msg->config.config.poll_interval_ms;
	poller->configured = true;
	return 0;
}

/* A failure is logged when it begins or changes, not at each poll. */
static void note_failure(struct poller *poller, const char *why, int err)
{
	char text[MSG_TEXT_MAX];

	poller->errors++;
	snprintf(text, sizeof(text), "%.180s: %s", why, strerror(-err));
	if (strcmp(text, poller->failure) == 0)
		return;
	memcpy(poller->failure, text, sizeof(text));
	/* Until it was there once it may be that we are early. */
	if (poller->schedule.succeeded)
		log_warning("source: %s", text);
	else
		log_info("source: %s", text);
}

static int send_candidate(struct poller *poller)
{
	const struct source_texts *texts = &poller->texts;
	int fd = memfd_seal("candidate", texts->bytes, texts->len_bytes);
	int err;

	if (fd < 0)
		return fd;
	err = child_send(&poller->child, MSG_CANDIDATE, &texts->what, &fd, 1);
	close(fd);
	return err;
}

/* Sends what is there if it isn't what was sent last. The first look is always sent, an empty one
   too: the supervisor may still have what an earlier poller saw. */
static int send_if_changed(struct poller *poller)
{
	uint64_t hash = source_texts_hash(&poller->texts);
	int err;

	if (poller->any_sent && hash == poller->sent)
		return 0;
	err = send_candidate(poller);
	if (err)
		return err;
	poller->candidates++;
	poller->sent = hash;
	poller->any_sent = true;
	return 0;
}

static void poll_once(struct poller *poller)
{
	char why[MSG_TEXT_MAX] = "candidate";
	int err = source_dir_read(poller->dir_fd, &poller->texts, why, sizeof(why));

	poller->polls++;
	if (!err) {
		snprintf(why, sizeof(why), "candidate can't be sent");
		err = send_if_changed(poller);
	}
	poller->errors_in_row = err ? poller->errors_in_row + 1 : 0;
	schedule_note(&poller->schedule, err == 0);
	if (err) {
		note_failure(poller, why, err);
	} else if (poller->failure[0]) {
		log_info("source: readable again");
		poller->failure[0] = '\0';
	}
}

static void arm(struct poller *poller)
{
	uint64_t random = 0;
	uint32_t wait_ms;

	/* Without randomness the wait is merely at its lower bound. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = 0;
	wait_ms = schedule_next_ms(&poller->schedule, random);
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

static int on_start(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct poller *poller = ctx;
	const struct msg_manifest *manifest = &msg->start.manifest;
	const char *what;
	int err;

	if (!poller->configured || fds->count != 1 || manifest->fd_count != 1 ||
	    manifest->fds[0].kind != FD_SOURCE)
		return -EPROTO;
	poller->dir_fd = dispatch_take_fd(fds, 0);
	err = sandbox_enter(poller->dir_fd, &what);
	if (err)
		return fail(poller, err, what);
	err = child_ready(&poller->child);
	if (err)
		return fail(poller, err, "channel");
	poller->timer_fd = loop_timer(&poller->child.loop, 1, 0, on_timer, poller);
	return poller->timer_fd < 0 ? fail(poller, poller->timer_fd, "timer") : 0;
}

static int on_verdict(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	(void)ctx;
	(void)fds;
	if (!msg->verdict.applied)
		log_warning("source: refused: %s", msg->verdict.reason);
	return 0;
}

static void on_stats(void *ctx, struct msg_stats *stats)
{
	const struct poller *poller = ctx;
	uint64_t now = loop_now_ms();

	stats->count = STAT_POLLER_COUNT;
	stats->values[STAT_POLLER_polls] = poller->polls;
	stats->values[STAT_POLLER_candidates] = poller->candidates;
	stats->values[STAT_POLLER_errors] = poller->errors;
	stats->values[STAT_POLLER_errors_in_row] = poller->errors_in_row;
	stats->values[STAT_POLLER_next_poll_ms] = poller->next_ms > now ? poller->next_ms - now : 0;
}

static const struct dispatch_table table = {
	.self = ROLE_POLLER,
	.handlers =
		{
			[MSG_CONFIG] = on_config,
			[MSG_START] = on_start,
			[MSG_VERDICT] = on_verdict,
		},
};

int main(void)
{
	static struct poller poller;

	if (child_init(&poller.child, ROLE_POLLER, &table, &poller, 0) == 0)
		poller.child.on_stats = on_stats;
	return child_run(&poller.child);
}
