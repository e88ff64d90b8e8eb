/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/chan.h"
#include "exporter/ledger.h"

#define EVENTS_PER_FRAME (MSG_DATA_MAX / (uint32_t)sizeof(struct event))

/* Frames that one client gets before others have their turn. */
#define FRAMES_PER_TURN 4

void clients_init(struct clients *clients, struct loop *loop, const struct live *live,
		  uint64_t *dropped)
{
	memset(clients, 0, sizeof(*clients));
	clients->loop = loop;
	clients->live = live;
	clients->dropped = dropped;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		clients->list[i] = (struct client){.clients = clients, .fd = -1};
}

static int send_message(struct clients *clients, int fd, enum msg_type type, const void *msg)
{
	int len = msg_pack(type, msg, clients->frame, sizeof(clients->frame));

	return len < 0 ? len : chan_send(fd, clients->frame, (size_t)len, NULL, 0, 0);
}

static void refuse(struct clients *clients, int fd, const char *reason)
{
	struct msg_done done = {.ok = 0};

	snprintf(done.reason, sizeof(done.reason), "%s", reason);
	/* One that is gone or doesn't read learns it from the closed connection. */
	(void)send_message(clients, fd, MSG_DONE, &done);
	close(fd);
}

static void remove_client(struct client *client)
{
	struct clients *clients = client->clients;

	loop_remove(clients->loop, client->fd);
	close(client->fd);
	client->fd = -1;
	clients->count--;
	clients->tails -= client->ask == ASK_TAIL;
}

/* One frame of a list. Returns 1 if there is more, 0 when all is sent, or a negative errno. */
static int send_part(struct client *client)
{
	struct clients *clients = client->clients;
	struct msg_records *part = &clients->part;
	uint32_t cursor = client->cursor;
	const struct event *event;
	int err;

	part->len_bytes = 0;
	while (part->len_bytes < EVENTS_PER_FRAME * sizeof(*event) &&
	       (event = live_next(clients->live, &cursor))) {
		memcpy(part->data + part->len_bytes, event, sizeof(*event));
		part->len_bytes += (uint32_t)sizeof(*event);
	}
	if (part->len_bytes == 0)
		return send_message(clients, client->fd, MSG_DONE, &(struct msg_done){.ok = 1});
	err = send_message(clients, client->fd, MSG_RECORDS, part);
	if (err)
		return err;
	client->cursor = cursor;
	return 1;
}

/* Called again whenever the client has room, until all is sent. */
static void send_list(struct client *client)
{
	int more = 1;

	for (int i = 0; i < FRAMES_PER_TURN && more == 1; i++)
		more = send_part(client);
	if (more != 1 && more != -EAGAIN)
		remove_client(client);
}

static void begin_list(struct client *client)
{
	client->sending = true;
	client->deadline_ms = loop_now_ms() + CLIENTS_SEND_MS;
	if (loop_change(client->clients->loop, client->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP) < 0)
		remove_client(client);
}

/* A client has nothing to say any more: whatever comes from it is the end. */
static void on_client(void *ctx, uint32_t events)
{
	struct client *client = ctx;

	if (events & ~(uint32_t)EPOLLOUT)
		remove_client(client);
	else if (client->sending)
		send_list(client);
}

void clients_add(struct clients *clients, int fd, enum ask ask, uint64_t walk_id)
{
	struct client *client = clients->list;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		close(fd);
		return;
	}
	while (client < clients->list + CLIENTS_MAX && client->fd >= 0)
		client++;
	if (client == clients->list + CLIENTS_MAX) {
		refuse(clients, fd, "too many clients at once: end another list or tail first");
		return;
	}
	if (loop_add(clients->loop, fd, EPOLLIN | EPOLLRDHUP, on_client, client) < 0) {
		refuse(clients, fd, "the exporter can't watch another client: try again");
		return;
	}
	client->fd = fd;
	client->ask = ask;
	client->sending = false;
	client->walk_id = walk_id;
	client->cursor = 0;
	client->deadline_ms = loop_now_ms() + CLIENTS_WALK_MS;
	clients->count++;
	clients->tails += ask == ASK_TAIL;
	if (ask == ASK_LIST && clients->walk_seen >= walk_id)
		begin_list(client);
}

void clients_record(struct clients *clients, const struct event *event)
{
	struct msg_records *passing = &clients->passing;

	if (!clients->tails)
		return;
	if (passing->len_bytes == EVENTS_PER_FRAME * sizeof(*event))
		clients_flush(clients);
	memcpy(passing->data + passing->len_bytes, event, sizeof(*event));
	passing->len_bytes += (uint32_t)sizeof(*event);
}

void clients_walk(struct clients *clients, uint64_t walk_id)
{
	if (walk_id > clients->walk_seen) /* 0: on the tick */
		clients->walk_seen = walk_id;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &clients->list[i];

		if (client->fd >= 0 && client->ask == ASK_LIST && !client->sending &&
		    walk_id >= client->walk_id)
			begin_list(client);
	}
}

void clients_flush(struct clients *clients)
{
	struct msg_records *passing = &clients->passing;
	int len;

	if (!passing->len_bytes)
		return;
	len = msg_pack(MSG_RECORDS, passing, clients->frame, sizeof(clients->frame));
	for (uint32_t i = 0; i < CLIENTS_MAX && len > 0; i++) {
		struct client *client = &clients->list[i];
		int err;

		if (client->fd < 0 || client->ask != ASK_TAIL)
			continue;
		err = chan_send(client->fd, clients->frame, (size_t)len, NULL, 0, 0);
		if (err == -EAGAIN)
			ledger_add(clients->dropped, passing->len_bytes / sizeof(struct event));
		else if (err)
			remove_client(client);
	}
	passing->len_bytes = 0;
}

void clients_tick(struct clients *clients)
{
	uint64_t now_ms = loop_now_ms();

	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &clients->list[i];

		if (client->fd < 0 || client->ask != ASK_LIST || now_ms < client->deadline_ms)
			continue;
		if (client->sending)
			remove_client(client);
		else
			begin_list(client);
	}
}
