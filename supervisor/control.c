/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "supervisor/children.h"
#include "supervisor/status.h"

#define ASK_MS  5000u /* a client that hasn't asked by then is hung up on */
#define ROOM_MS 200u  /* without an fd for a client, clients wait */
#define WALK_MS 500u  /* clients get at most one walk of the live connections in this time */
/* Whether another conntraced listens: looks, and the pause between them. */
#define ANSWER_LOOKS 5u
#define ANSWER_MS    50u

static int own_directory(uid_t uid, gid_t gid)
{
	struct stat st;

	if (mkdir(CONTROL_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* A service manager has made it, and leaves no capability to change the owner. */
	if (lstat(CONTROL_DIR, &st) == 0 && st.st_uid == uid && st.st_gid == gid)
		return 0;
	return chown(CONTROL_DIR, uid, gid) < 0 ? -errno : 0;
}

/* On failure the path is the one that can't be had. */
static int choose_path(struct supervisor *sup, char *path, size_t cap)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int err = 0;
	int len;

	if (sup->options.socket) {
		len = snprintf(path, cap, "%s", sup->options.socket);
	} else if (geteuid() == 0 || access(CONTROL_DIR, W_OK) == 0) {
		len = snprintf(path, cap, "%s", CONTROL_PATH);
	} else if (dir) {
		len = snprintf(path, cap, "%s/conntrace", dir);
		if (len < (int)cap && mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		len = snprintf(path, cap, "%s/conntrace/control.sock", dir);
	} else {
		err = -errno;
		len = snprintf(path, cap, CONTROL_DIR);
	}
	return len < (int)cap ? err : -ENAMETOOLONG;
}

int control_prepare(struct supervisor *sup, uid_t uid, gid_t gid)
{
	struct control *control = &sup->control;
	int err;

	control->fd = -1;
	control->group = gid;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		control->clients[i] = (struct client){.sup = sup, .fd = -1};
	err = choose_path(sup, control->path, sizeof(control->path));
	if (!err && geteuid() == 0 && !sup->options.socket)
		err = own_directory(uid, gid);
	if (err)
		log_error("control socket: %s: %s: name a path by --socket", control->path,
			  strerror(-err));
	return err;
}

static struct sockaddr_un address(const struct control *control)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	memcpy(addr.sun_path, control->path, sizeof(addr.sun_path));
	return addr;
}
_Static_assert(sizeof(((struct control *)0)->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "control: path");

/* Somebody listens there, whoever it is. */
static bool answers(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool yes;

	if (fd < 0)
		return false;
	yes = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EPROTOTYPE;
	close(fd);
	return yes;
}

/* --- clients --- */

static void client_close(struct client *client)
{
	if (client->fd < 0)
		return;
	loop_remove(&client->sup->loop, client->fd);
	close(client->fd);
	client->fd = -1;
}

static void client_refuse(struct client *client, const char *reason)
{
	struct msg_done done = {.ok = 0};

	snprintf(done.reason, sizeof(done.reason), "%s", reason);
	(void)control_answer(client->fd, MSG_DONE, &done);
	client_close(client);
}

/* A walk for a list that wants to be fresh, but not more often than WALK_MS. */
static uint64_t fresh_walk(struct supervisor *sup)
{
	struct proc *loader = &sup->procs[ROLE_LOADER];
	uint64_t now = loop_now_ms();

	if (now >= sup->walk_allowed_ms && loader->life.state == LIFE_RUNNING) {
		sup->walk_allowed_ms = now + WALK_MS;
		(void)children_send(loader, MSG_WALK, &(struct msg_walk){.id = ++sup->walk_id},
				    NULL, 0);
	}
	return sup->walk_id;
}

/* Without walks a list would hold nothing, or what is left of one, and not say so. */
static bool can_walk(const struct msg_tracer *tracer)
{
	for (uint32_t i = 0; i < tracer->probe_count; i++)
		if (tracer->probes[i].state == PROBE_ATTACHED &&
		    strcmp(tracer->probes[i].how, PROBE_HOW_WALK) == 0)
			return true;
	return false;
}

static void client_hand_over(struct client *client, uint32_t ask)
{
	struct supervisor *sup = client->sup;
	struct proc *exporter = &sup->procs[ROLE_EXPORTER];
	struct msg_client msg = {.ask = ask};

	if (exporter->life.state != LIFE_RUNNING) {
		client_refuse(client, "the exporter isn't running: see 'conntrace status'");
		return;
	}
	if (ask == ASK_LIST && !can_walk(&sup->tracer)) {
		client_refuse(client,
			      "live connections can't be listed: the tracer runs without its "
			      "iterator: see 'conntrace status'");
		return;
	}
	if (ask == ASK_LIST)
		msg.walk_id = fresh_walk(sup);
	(void)children_send(exporter, MSG_CLIENT, &msg, &client->fd, 1);
	client_close(client);
}

static int on_ask(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	struct client *client = ctx;

	(void)fds;
	switch (msg->ask.ask) {
	case ASK_STATUS:
		status_send(client->sup, client->fd);
		break;
	case ASK_CONFIG:
		status_send_config(client->sup, client->fd);
		break;
	case ASK_HISTORY:
		(void)control_answer(client->fd, MSG_HISTORY, &client->sup->verdicts.history);
		break;
	default:
		client_hand_over(client, msg->ask.ask);
		return 0;
	}
	client_close(client);
	return 0;
}

static const struct dispatch_table asks = {.self = ROLE_SUPERVISOR,
					   .handlers = {[MSG_ASK] = on_ask}};

static void on_client(void *ctx, uint32_t events)
{
	struct client *client = ctx;
	struct supervisor *sup = client->sup;
	struct dispatch_error error;
	struct dispatch_fds fds;
	int len;

	(void)events;
	len = chan_recv(client->fd, sup->frame, sizeof(sup->frame), fds.fds, &fds.count);
	if (len == -EAGAIN)
		return;
	if (len <= 0) {
		client_close(client);
		return;
	}
	if (dispatch_frame(&asks, ROLE_CLI, PHASE_RUNNING, sup->frame, (size_t)len, &fds,
			   &sup->room, client, &error) < 0)
		client_refuse(client, error.reason);
}

static void on_ask_timer(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;
	uint64_t now = loop_now_ms();
	bool waiting = false;

	(void)events;
	(void)loop_timer_ack(sup->control.timer_fd);
	(void)loop_change(&sup->loop, sup->control.fd, EPOLLIN);
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &sup->control.clients[i];

		if (client->fd >= 0 && now >= client->deadline_ms)
			client_close(client);
		waiting |= client->fd >= 0;
	}
	if (waiting)
		(void)loop_timer_set(sup->control.timer_fd, ASK_MS, 0);
}

/* Root, the user conntraced runs as, and members of its group who have it as their own. */
static bool may_ask(const struct supervisor *sup, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == geteuid() || cred.gid == sup->control.group;
}

static void on_connection(void *ctx, uint32_t events)
{
	struct supervisor *sup = ctx;
	struct client none = {.sup = sup}, *client = &none;

	(void)events;
	for (uint32_t i = 0; i < CLIENTS_MAX && client == &none; i++)
		if (sup->control.clients[i].fd < 0)
			client = &sup->control.clients[i];
	client->fd = accept4(sup->control.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client->fd < 0) {
		/* A client that can't be taken is there again at once: that would be a busy loop.
		 */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			(void)loop_change(&sup->loop, sup->control.fd, 0);
			(void)loop_timer_set(sup->control.timer_fd, ROOM_MS, 0);
		}
		return;
	}
	if (client == &none) {
		client_refuse(client, "too many clients at once: try again");
	} else if (!may_ask(sup, client->fd)) {
		client_refuse(client, "permission denied: be root, the user conntraced runs as, "
				      "or in its group");
	} else if (loop_add(&sup->loop, client->fd, EPOLLIN, on_client, client) < 0) {
		client_refuse(client, "no room for a client: try again");
	} else {
		client->deadline_ms = loop_now_ms() + ASK_MS;
		(void)loop_timer_set(sup->control.timer_fd, ASK_MS, 0);
	}
}

int control_answer(int fd, enum msg_type type, const void *msg)
{
	static uint8_t frame[PROTO_FRAME_MAX];
	int len = msg_pack(type, msg, frame, sizeof(frame));

	return len < 0 ? len : chan_send(fd, frame, (size_t)len, NULL, 0, 0);
}

void control_inherit(struct supervisor *sup, int fd)
{
	int listens = 0;
	socklen_t len = sizeof(listens);

	if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens)
		sup->control.fd = fd;
	else if (fd >= 0)
		close(fd);
}

static int make_socket(struct control *control)
{
	struct sockaddr_un addr = address(control);

	control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return -errno;
	/* A child of one that was killed has it, too, until it executes its program or dies. */
	for (uint32_t i = 0; answers(&addr); i++) {
		if (i == ANSWER_LOOKS)
			return -EADDRINUSE;
		usleep(ANSWER_MS * 1000);
	}
	if (unlink(control->path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(control->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(control->path, 0666) < 0 || listen(control->fd, CLIENTS_MAX) < 0)
		return -errno;
	return 0;
}

static int listen_at(struct supervisor *sup)
{
	struct control *control = &sup->control;
	int err = control->fd >= 0 ? 0 : make_socket(control);

	if (err)
		return err;
	control->timer_fd = loop_timer(&sup->loop, 0, 0, on_ask_timer, sup);
	if (control->timer_fd < 0)
		return control->timer_fd;
	return loop_add(&sup->loop, control->fd, EPOLLIN, on_connection, sup);
}

int control_open(struct supervisor *sup)
{
	struct control *control = &sup->control;
	int err = listen_at(sup);

	if (!err)
		return 0;
	if (err == -EADDRINUSE)
		log_error("control socket %s: another conntraced runs here: stop it, or name "
			  "another path by --socket",
			  control->path);
	else
		log_error("control socket %s: %s: its directory must be writable, or name another "
			  "path by --socket",
			  control->path, strerror(-err));
	if (control->fd >= 0)
		close(control->fd);
	control->fd = -1;
	return err;
}

void control_close(struct supervisor *sup)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		client_close(&sup->control.clients[i]);
	if (sup->control.fd < 0)
		return;
	loop_remove(&sup->loop, sup->control.fd);
	close(sup->control.fd);
	(void)unlink(sup->control.path);
	sup->control.fd = -1;
}
