/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conngen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BACKLOG      4096
#define ACCEPT_BATCH 64u
#define EVENT_BATCH  64
#define NO_FD        (-1)

enum state { FREE, RECEIVING, SENDING, ENDING, HOLDING };

/* One accepted connection; the table is indexed by fd, so nothing is allocated for each. */
struct connection {
	union endpoint local; /* both filled only for the list */
	union endpoint peer;
	struct amount amount;
	uint64_t deadline_ns; /* of the hold */
	uint32_t armed;       /* epoll events asked for */
	int next_held;        /* fd of the next in the queue of held connections */
	enum state state;
};

struct server_thread {
	struct server *server;
	int epoll_fd;
	int held_first; /* the hold is the same for all, so a queue is in order of deadlines */
	int held_last;
	pthread_t id;
	bool running;
	struct tally tally;
};

struct server {
	struct load_options *options;
	struct connection *table;
	int stop_fd;
	int listeners[LOAD_PORTS_MAX];
	unsigned int started;
	struct server_thread threads[LOAD_THREADS_MAX];
	atomic_uint_fast64_t accepted;
	atomic_uint_fast64_t ended;
};

static int connection_arm(struct server_thread *t, int fd, uint32_t events)
{
	struct connection *c = &t->server->table[fd];
	struct epoll_event ev = {.events = events, .data.fd = fd};

	if (c->armed == events)
		return 0;
	if (epoll_ctl(t->epoll_fd, c->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev))
		return -errno;
	c->armed = events;
	return 0;
}

static void connection_end(struct server_thread *t, int fd, int err)
{
	struct server *s = t->server;
	const struct load_options *o = s->options;
	struct connection ended = s->table[fd];

	if (!err && o->reset && o->server_closes)
		err = stream_reset_on_close(fd);
	/* close() alone would not do: while anybody else holds the file, as one who looks at the
	   files of all processes does for a moment, epoll goes on to report it. */
	if (ended.armed)
		(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	s->table[fd].state = FREE; /* from close() on the number may be another thread's */
	close(fd);
	if (o->list)
		list_write(o->list, "server", &ended.local, &ended.peer, &ended.amount);
	tally_end(&t->tally, &ended.amount, err);
	atomic_fetch_add(&s->ended, 1);
}

static int connection_hold(struct server_thread *t, int fd)
{
	struct connection *c = &t->server->table[fd];

	if (c->armed && epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL))
		return -errno;
	c->deadline_ns = clock_now_ns() + t->server->options->hold_ns;
	c->next_held = NO_FD;
	if (t->held_first == NO_FD)
		t->held_first = fd;
	else
		t->server->table[t->held_last].next_held = fd;
	t->held_last = fd;
	return 0;
}

/* Goes on as far as the socket allows. -EAGAIN: when it is readable (SENDING: writable) again. */
static int connection_advance(const struct load_options *o, struct connection *c, int fd)
{
	int err = 0;

	if (c->state == RECEIVING) {
		err = stream_receive(fd, CLIENT, &c->amount.received, o->request_bytes);
		if (err)
			return err;
		c->state = SENDING;
	}
	if (c->state == SENDING) {
		err = stream_send(fd, SERVER, &c->amount.sent, o->response_bytes);
		if (err)
			return err;
		c->state = o->server_closes ? HOLDING : ENDING;
	}
	if (c->state == ENDING)
		err = stream_receive_end(fd, o->reset, &c->amount.received);
	return err;
}

static void connection_step(struct server_thread *t, int fd)
{
	struct connection *c = &t->server->table[fd];
	int err = connection_advance(t->server->options, c, fd);

	if (err == -EAGAIN) {
		err = connection_arm(t, fd, c->state == SENDING ? EPOLLOUT : EPOLLIN);
		if (!err)
			return;
	} else if (!err && c->state == HOLDING && t->server->options->hold_ns) {
		err = connection_hold(t, fd);
		if (!err)
			return;
	}
	connection_end(t, fd, err);
}

static void server_accept(struct server_thread *t, int listener)
{
	struct server *s = t->server;

	for (unsigned int i = 0; i < ACCEPT_BATCH; i++) {
		union endpoint peer = {0};
		socklen_t len = sizeof(peer);
		int fd = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN) {
				t->tally.errors[(unsigned int)errno % LOAD_ERRNO_SLOTS]++;
				usleep(10000); /* out of fds or memory: the listener stays ready */
			}
			return;
		}
		s->table[fd] = (struct connection){.peer = peer, .state = RECEIVING};
		len = sizeof(s->table[fd].local);
		if (s->options->list)
			getsockname(fd, &s->table[fd].local.any, &len);
		t->tally.begun++;
		atomic_fetch_add(&s->accepted, 1);
		connection_step(t, fd);
	}
}

/* Ends what was held long enough. Returns the milliseconds until the next one, -1 = none. */
static int server_release_held(struct server_thread *t)
{
	while (t->held_first != NO_FD) {
		struct connection *c = &t->server->table[t->held_first];
		uint64_t now_ns = clock_now_ns();
		int fd = t->held_first;

		if (now_ns < c->deadline_ns)
			return (int)((c->deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
		t->held_first = c->next_held;
		connection_end(t, fd, 0);
	}
	return -1;
}

static bool is_listener(const struct server *s, int fd)
{
	for (unsigned int i = 0; i < s->options->port_count; i++)
		if (s->listeners[i] == fd)
			return true;
	return false;
}

static void *server_main(void *arg)
{
	struct server_thread *t = arg;
	struct epoll_event events[EVENT_BATCH];

	for (;;) {
		int n = epoll_wait(t->epoll_fd, events, EVENT_BATCH, server_release_held(t));

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == t->server->stop_fd)
				return NULL;
			if (is_listener(t->server, fd))
				server_accept(t, fd);
			else
				connection_step(t, fd);
		}
	}
}

static int server_listen(struct server *s, unsigned int i)
{
	struct load_options *o = s->options;
	union endpoint addr = o->addr;
	socklen_t len = endpoint_len(&addr);
	int one = 1, fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	s->listeners[i] = fd;
	addr.v4.sin_port = htons(o->ports[i]);
	/* With a port of the kernel's choice this would admit one still used by old connections. */
	if (o->ports[i] && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		return -errno;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    bind(fd, &addr.any, len) || listen(fd, BACKLOG) || getsockname(fd, &addr.any, &len))
		return -errno;
	o->ports[i] = ntohs(addr.v4.sin_port);
	return 0;
}

static int server_thread_start(struct server *s, unsigned int n)
{
	struct server_thread *t = &s->threads[n];
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = s->stop_fd};
	int err;

	*t = (struct server_thread){.server = s, .held_first = NO_FD, .held_last = NO_FD};
	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll_fd < 0)
		return -errno;
	s->started++;
	if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, s->stop_fd, &ev))
		return -errno;
	for (unsigned int i = 0; i < s->options->port_count; i++) {
		ev = (struct epoll_event){.events = EPOLLIN | EPOLLEXCLUSIVE,
					  .data.fd = s->listeners[i]};
		if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, s->listeners[i], &ev))
			return -errno;
	}
	err = thread_start(s->options, n, true, server_main, t, &t->id);
	t->running = !err;
	return err;
}

int server_start(struct load_options *options, struct server **out)
{
	struct server *s = calloc(1, sizeof(*s));
	struct tally ignored = {0};
	int err = patterns_init();

	if (!s)
		return -ENOMEM;
	s->options = options;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned int i = 0; i < options->port_count; i++)
		s->listeners[i] = NO_FD;
	if (!err && s->stop_fd < 0)
		err = -errno;
	s->table = calloc(options->files_max, sizeof(*s->table));
	if (!err && !s->table)
		err = -ENOMEM;
	for (unsigned int i = 0; !err && i < options->port_count; i++)
		err = server_listen(s, i);
	for (unsigned int i = 0; !err && i < options->server_threads; i++)
		err = server_thread_start(s, i);
	if (err) {
		server_stop(s, &ignored);
		return err;
	}
	*out = s;
	return 0;
}

void server_progress(const struct server *s, uint64_t *accepted, uint64_t *ended)
{
	*ended = atomic_load(&s->ended);
	*accepted = atomic_load(&s->accepted);
}

void server_drain(const struct server *s, uint64_t expected)
{
	uint64_t accepted, ended, last = 0, moved_ns = clock_now_ns();

	for (;;) {
		server_progress(s, &accepted, &ended);
		if (ended >= expected && ended == accepted)
			return;
		if (ended != last)
			moved_ns = clock_now_ns();
		else if (clock_now_ns() - moved_ns > s->options->timeout_ns + s->options->hold_ns)
			return;
		last = ended;
		usleep(1000);
	}
}

void server_stop(struct server *s, struct tally *sum)
{
	for (unsigned int i = 0; i < s->started; i++) {
		if (s->threads[i].running && !eventfd_write(s->stop_fd, 1))
			pthread_join(s->threads[i].id, NULL);
		close(s->threads[i].epoll_fd);
		tally_add(sum, &s->threads[i].tally);
	}
	for (unsigned int fd = 0; s->table && fd < s->options->files_max; fd++)
		if (s->table[fd].state != FREE)
			close((int)fd);
	for (unsigned int i = 0; i < s->options->port_count; i++)
		if (s->listeners[i] >= 0)
			close(s->listeners[i]);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	free(s->table);
	free(s);
}
