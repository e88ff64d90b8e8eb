/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace config check: by the verifier that conntraced asks, started as conntraced starts it:
 * nothing here reads what is in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/config.h"
#include "cli/safe.h"
#include "common/chan.h"
#include "common/dispatch.h"
#include "common/installation.h"
#include "common/memfd.h"
#include "common/privs.h"
#include "common/put.h"
#include "common/spawn.h"

#define COMMAND   "config check"
#define VERIFIER  "conntrace-verifier"
#define ANSWER_MS 20000 /* it may take 5 s of processor time */
#define JSON_MAX  32768u
#define PART_NAME "file"

struct check {
	const char *file;
	bool as_source;
	int text_fd; /* sealed memfd */
	uint32_t len_bytes;
	int channel;
	enum phase phase;
	bool answered;
	char failure[2 * MSG_TEXT_MAX]; /* what the verifier said of itself */
	struct msg_checked checked;
};

static int complain(int code, const char *what, int err)
{
	fprintf(stderr, "conntrace: " COMMAND ": %s: %s\n", safe(what), strerror(-err));
	return code;
}

/* One byte more than a text may have is enough for the verifier to refuse it. */
static int read_text(struct check *check)
{
	static char bytes[CONFIG_TEXT_MAX + 1];
	int fd = open(check->file, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;
	ssize_t n = 1;

	while (!err && n && check->len_bytes < sizeof(bytes)) {
		n = read(fd, bytes + check->len_bytes, sizeof(bytes) - check->len_bytes);
		if (n < 0)
			err = -errno;
		else
			check->len_bytes += (uint32_t)n;
	}
	if (fd >= 0)
		close(fd);
	if (!err)
		check->text_fd = memfd_seal("configuration", bytes, check->len_bytes);
	return err ? err : check->text_fd < 0 ? check->text_fd : 0;
}

/* The verifier does not work with privileges. */
static int give_up_root(void)
{
	uid_t uid;
	gid_t gid;
	int err;

	if (geteuid() != 0)
		return privs_set_caps(0, 0);
	err = installation_user(&uid, &gid);
	if (!err)
		err = privs_drop_user(uid, gid);
	return err ? err : privs_set_caps(0, 0);
}

static int start_verifier(struct spawned *spawned)
{
	static struct installation installation;
	int err = installation_find(&installation), fd;

	if (err)
		return err;
	fd = open(installation.programs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = fd < 0 ? -errno : spawn_move_fd(fd);
	if (fd < 0)
		return fd;
	err = give_up_root();
	if (!err)
		err = spawn_child(fd, VERIFIER, NULL, spawned);
	close(fd);
	return err;
}

/* --- talking to it, as the supervisor does --- */

static int send_text(struct check *check)
{
	static uint8_t frame[PROTO_FRAME_MAX];
	static struct msg_check msg;
	int empty = memfd_seal("configuration", "", 0), fds[2] = {check->text_fd, empty}, len, err;

	if (empty < 0)
		return empty;
	snprintf(msg.local.name, sizeof(msg.local.name), PART_NAME);
	msg.local.len_bytes = check->as_source ? 0 : check->len_bytes;
	if (check->as_source) {
		msg.part_count = 1;
		snprintf(msg.parts[0].name, sizeof(msg.parts[0].name), PART_NAME);
		msg.parts[0].len_bytes = check->len_bytes;
		fds[0] = empty;
		fds[1] = check->text_fd;
	}
	len = msg_pack(MSG_CHECK, &msg, frame, sizeof(frame));
	err = len < 0 ? len
		      : chan_send(check->channel, frame, (size_t)len, fds, check->as_source ? 2 : 1,
				  ANSWER_MS);
	close(empty);
	return err;
}

static int on_hello(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct check *check = ctx;

	(void)msg;
	(void)fds;
	check->phase = PHASE_READY;
	return send_text(check);
}

static int on_checked(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct check *check = ctx;

	(void)fds;
	check->checked = msg->checked;
	check->answered = true;
	return 0;
}

static int on_fail(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct check *check = ctx;

	(void)fds;
	memcpy(check->failure, msg->fail.reason, sizeof(check->failure));
	return 0;
}

static const struct dispatch_table table = {
	.self = ROLE_SUPERVISOR,
	.handlers = {[MSG_HELLO] = on_hello,
		     [MSG_CHECKED] = on_checked,
		     [MSG_FAIL] = on_fail,
		     [MSG_BYE] = dispatch_ignore},
};

/* Returns 1, 0 when it has hung up, or a negative errno. */
static int take_message(struct check *check)
{
	static uint8_t frame[PROTO_FRAME_MAX];
	static union msg room;
	struct pollfd readable = {.fd = check->channel, .events = POLLIN};
	struct dispatch_error error;
	struct dispatch_fds fds;
	int len = poll(&readable, 1, ANSWER_MS);

	if (len <= 0)
		return len ? -errno : -ETIMEDOUT;
	len = chan_recv(check->channel, frame, sizeof(frame), fds.fds, &fds.count);
	if (len <= 0)
		return len;
	len = dispatch_frame(&table, ROLE_VERIFIER, check->phase, frame, (size_t)len, &fds, &room,
			     check, &error);
	return len < 0 ? len : 1;
}

static int ask_verifier(struct check *check)
{
	struct spawned spawned;
	int err = start_verifier(&spawned), next = 1;

	if (err)
		return err;
	check->channel = spawned.channel;
	while (next == 1 && !check->answered)
		next = take_message(check);
	close(spawned.channel);
	close(spawned.pidfd);
	if (!check->answered)
		kill(spawned.pid, SIGKILL);
	waitpid(spawned.pid, NULL, 0);
	return check->answered ? 0 : next < 0 ? next : -ECHILD;
}

/* --- what it said --- */

static int print_json(const struct check *check, int code)
{
	static char text[JSON_MAX];
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	put_text(&json, "file", check->file);
	put_flag(&json, "valid", check->checked.valid);
	jsonbuf_key(&json, "errors");
	jsonbuf_open(&json, '[');
	for (uint32_t i = 0; i < check->checked.error_count; i++) {
		jsonbuf_open(&json, '{');
		put_number(&json, "line", check->checked.errors[i].line);
		put_text(&json, "reason", check->checked.errors[i].reason);
		jsonbuf_close(&json, '}');
	}
	jsonbuf_close(&json, ']');
	jsonbuf_close(&json, '}');
	return config_print(COMMAND, &json, code);
}

static int print_text(const struct check *check, int code)
{
	for (uint32_t i = 0; i < check->checked.error_count; i++) {
		const struct msg_error *error = &check->checked.errors[i];

		printf("%s", safe(check->file));
		if (error->line)
			printf(":%u", error->line);
		printf(": %s\n", safe(error->reason));
	}
	if (check->checked.valid)
		printf("%s: valid\n", safe(check->file));
	return fflush(stdout) == 0 ? code : CLI_FAILED;
}

int cli_config_check(const struct cli_options *options)
{
	static struct check check = {.text_fd = -1};
	int err, code;

	check.file = options->file;
	check.as_source = options->as_source;
	err = read_text(&check);
	if (err)
		return complain(CLI_NO_INPUT, check.file, err);
	err = ask_verifier(&check);
	if (err && check.failure[0])
		fprintf(stderr, "conntrace: " COMMAND ": " VERIFIER ": %s\n", safe(check.failure));
	if (err)
		return complain(CLI_FAILED, VERIFIER, err);
	code = check.checked.valid ? CLI_OK : CLI_INVALID;
	return options->json ? print_json(&check, code) : print_text(&check, code);
}
