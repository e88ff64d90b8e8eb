/* SPDX-License-Identifier: Apache-2.0 */
#include "common/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"

#define CONNECT_WAIT_S 2
#define ASK_WAIT_MS    1000

static int try_path(struct client *client, const char *path)
{
	const struct timeval wait_most = {.tv_sec = CONNECT_WAIT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(path) + 1;
	int err;

	if (size > sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(client->path, path, size);
	memcpy(address.sun_path, path, size);
	client->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client->fd < 0)
		return -errno;
	/* Bounds the wait for conntraced to take one of the clients that queue before us. */
	if (setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &wait_most, sizeof(wait_most)) == 0 &&
	    connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    fcntl(client->fd, F_SETFL, O_NONBLOCK) == 0)
		return 0;
	err = -errno;
	close(client->fd);
	client->fd = -1;
	return err;
}

static bool nobody_there(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || err == -ENOTDIR;
}

static int connect_somewhere(struct client *client, const char *path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char users[sizeof(client->path)];
	int err, len;

	if (!path)
		path = getenv(CLIENT_SOCKET_ENV);
	if (path)
		return try_path(client, path);
	err = try_path(client, CLIENT_SOCKET_DEFAULT);
	if (!nobody_there(err) || !runtime)
		return err;
	len = snprintf(users, sizeof(users), "%s/" CLIENT_SOCKET_USER, runtime);
	return len < 0 || (size_t)len >= sizeof(users) ? err : try_path(client, users);
}

int client_open(struct client *client, const char *socket, enum ask ask)
{
	const struct msg_ask msg = {.version = PROTO_VERSION, .ask = ask};
	int err, len;

	client->fd = -1;
	client->path[0] = '\0';
	err = connect_somewhere(client, socket);
	if (err)
		return err;
	len = msg_pack(MSG_ASK, &msg, client->frame, sizeof(client->frame));
	err = len < 0 ? len
		      : chan_send(client->fd, client->frame, (size_t)len, NULL, 0, ASK_WAIT_MS);
	/* Whoever is refused is hung up on before it has asked: why is there to be read. */
	if (err == -EPIPE)
		err = 0;
	if (err)
		client_close(client);
	return err;
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

void client_refused(const char *command, const struct msg_done *done)
{
	char reason[4 * MSG_TEXT_MAX + 1];

	log_escape(done->reason, reason, sizeof(reason));
	fprintf(stderr, "conntrace: %s: %s\n", command, reason);
}

void client_explain(const struct client *client, int err)
{
	char path[4 * sizeof(client->path) + 1];
	const char *remedy = "is conntraced well? see its log";

	if (nobody_there(err))
		remedy = "conntraced is not running there: start it, or name its control socket "
			 "with --socket";
	else if (err == -EACCES || err == -EPERM)
		remedy = "only root, conntraced's own user and the members of its group may ask it";
	else if (err == -EAGAIN)
		remedy = "conntraced does not take clients now: see its log";
	else if (err == -ENAMETOOLONG)
		remedy = "the path of a socket has at most 107 bytes";
	log_escape(client->path, path, sizeof(path));
	fprintf(stderr, "conntrace: control socket %s: %s: %s\n", path, strerror(-err), remedy);
}

void client_explain_end(const char *command, int err)
{
	const char *reason = strerror(-err);

	if (err == 0)
		reason = "the connection was closed before the end: who "
			 "answers was replaced or conntraced ended; run it again";
	else if (err == -EAGAIN)
		reason = "no answer in time: conntrace status shows what is wrong";
	else if (err == -EPROTO)
		reason = "an answer that makes no sense: are conntrace and conntraced of one "
			 "version?";
	fprintf(stderr, "conntrace: %s: %s\n", command, reason);
}

/* Who may send this, of those who can be at the other end: the supervisor hands us on. */
static enum role sender_of(const uint8_t *frame, size_t len)
{
	const struct proto_row *row = NULL;
	uint64_t type;

	if (msg_peek_type(frame, len, &type) == 0)
		row = proto_row(type);
	return row && !(row->from & R_SUPERVISOR) ? ROLE_EXPORTER : ROLE_SUPERVISOR;
}

int client_next(struct client *client, const struct dispatch_table *table, void *ctx,
		int timeout_ms)
{
	struct pollfd readable = {.fd = client->fd, .events = POLLIN};
	struct dispatch_error error;
	struct dispatch_fds fds;
	int n = poll(&readable, 1, timeout_ms);
	int len;

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EAGAIN;
	len = chan_recv(client->fd, client->frame, sizeof(client->frame), fds.fds, &fds.count);
	if (len <= 0)
		return len;
	if (dispatch_frame(table, sender_of(client->frame, (size_t)len), PHASE_RUNNING,
			   client->frame, (size_t)len, &fds, &client->room, ctx, &error) < 0)
		return -EPROTO;
	return 1;
}
