/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conngen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

struct client_thread {
	const struct load_options *options;
	atomic_uint_fast64_t *next; /* number of the connection to make next, shared */
	uint64_t start_ns;
	pthread_t id;
	struct client_result result;
};

static int client_connect(const struct load_options *o, union endpoint *peer, int *out)
{
	uint64_t patience_ns = o->timeout_ns + (o->server_closes ? o->hold_ns : 0);
	struct timeval patience = {.tv_sec = (time_t)(patience_ns / NS_PER_S),
				   .tv_usec = (suseconds_t)(patience_ns % NS_PER_S / 1000)};
	int fd = socket(o->addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0, one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    (o->request_bytes > LOAD_CHUNK / 4 &&
	     setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))) ||
	    connect(fd, &peer->any, endpoint_len(peer)))
		err = errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	if (err) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

/* Request, response, and the end of the stream if it is the server's. */
static int client_exchange(const struct load_options *o, int fd, struct amount *a)
{
	int err = stream_send(fd, CLIENT, &a->sent, o->request_bytes);

	if (!err)
		err = stream_receive(fd, SERVER, &a->received, o->response_bytes);
	if (!err && o->server_closes)
		err = stream_receive_end(fd, o->reset, &a->received);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

static void client_close(const struct load_options *o, struct client_result *r, int fd,
			 const union endpoint *peer, const struct amount *a, int err)
{
	union endpoint local = {0};
	socklen_t len = sizeof(local);

	if (o->list)
		getsockname(fd, &local.any, &len);
	if (!err && o->reset && !o->server_closes)
		err = stream_reset_on_close(fd);
	close(fd);
	if (o->list)
		list_write(o->list, "client", &local, peer, a);
	tally_end(&r->tally, a, err);
}

static union endpoint client_peer(const struct load_options *o, uint64_t n)
{
	union endpoint peer = o->addr;

	peer.v4.sin_port = htons(o->ports[n % o->port_count]);
	return peer;
}

static void client_one(const struct load_options *o, struct client_result *r, uint64_t n,
		       uint64_t begin_ns)
{
	union endpoint peer = client_peer(o, n);
	uint64_t held_ns = 0, failed = r->tally.failed;
	struct amount amount = {0};
	int fd = -1, err;

	r->tally.begun++;
	err = client_connect(o, &peer, &fd);
	if (err) {
		tally_end(&r->tally, &amount, err);
		r->end_ns = clock_now_ns();
		return;
	}
	r->connected++;
	err = client_exchange(o, fd, &amount);
	if (!err && o->server_closes) {
		held_ns = o->hold_ns;
	} else if (!err && o->hold_ns) {
		held_ns = clock_now_ns();
		sleep_until(held_ns + o->hold_ns, o->stop);
		held_ns = clock_now_ns() - held_ns;
	}
	client_close(o, r, fd, &peer, &amount, err);
	r->end_ns = clock_now_ns();
	if (r->tally.failed == failed)
		latency_add(&r->latency, r->end_ns - begin_ns - held_ns);
}

/*
 * The n-th arrival of an open loop: the clock says when, whatever became of those before. Returns
 * when it was due, or 0 if that was so long ago that it is not made any more.
 */
static uint64_t client_await(const struct client_thread *c, struct client_result *r, uint64_t n)
{
	const struct load_options *o = c->options;
	uint64_t due_ns = c->start_ns + (uint64_t)((double)n * (double)NS_PER_S / (double)o->rate);
	uint64_t now_ns, behind_ns;

	sleep_until(due_ns, o->stop);
	now_ns = clock_now_ns();
	behind_ns = now_ns > due_ns ? now_ns - due_ns : 0;
	if (behind_ns > o->timeout_ns) {
		r->not_started++;
		return 0;
	}
	r->late += behind_ns > LOAD_LATE_NS;
	if (behind_ns > r->behind_max_ns)
		r->behind_max_ns = behind_ns;
	return due_ns;
}

static void *client_main(void *arg)
{
	struct client_thread *c = arg;
	const struct load_options *o = c->options;
	uint64_t n;

	while (!*o->stop && (n = atomic_fetch_add(c->next, 1)) < o->connections) {
		uint64_t begin_ns = o->rate ? client_await(c, &c->result, n) : clock_now_ns();

		if (begin_ns && !*o->stop)
			client_one(o, &c->result, n, begin_ns);
	}
	return NULL;
}

static void client_result_add(struct client_result *sum, const struct client_result *r)
{
	tally_add(&sum->tally, &r->tally);
	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++)
		sum->latency.buckets[i] += r->latency.buckets[i];
	sum->latency.count += r->latency.count;
	if (r->latency.max_ns > sum->latency.max_ns)
		sum->latency.max_ns = r->latency.max_ns;
	sum->connected += r->connected;
	if (r->end_ns > sum->end_ns)
		sum->end_ns = r->end_ns;
	if (r->behind_max_ns > sum->behind_max_ns)
		sum->behind_max_ns = r->behind_max_ns;
	sum->late += r->late;
	sum->not_started += r->not_started;
}

int client_run(const struct load_options *o, struct client_result *result)
{
	struct client_thread *threads = calloc(o->threads, sizeof(*threads));
	atomic_uint_fast64_t next = 0;
	unsigned int started = 0;
	int err = patterns_init();

	if (!threads)
		return -ENOMEM;
	result->start_ns = result->end_ns = clock_now_ns();
	while (!err && started < o->threads) {
		struct client_thread *c = &threads[started];

		*c = (struct client_thread){
			.options = o, .next = &next, .start_ns = result->start_ns};
		err = thread_start(o, started, false, client_main, c, &c->id);
		started += !err;
	}
	if (err)
		atomic_store(&next, o->connections);
	for (unsigned int i = 0; i < started; i++) {
		pthread_join(threads[i].id, NULL);
		client_result_add(result, &threads[i].result);
	}
	free(threads);
	return err;
}

int client_open_idle(const struct load_options *o, struct client_result *r, int *fds,
		     uint64_t *opened)
{
	int err = patterns_init();

	r->start_ns = r->end_ns = clock_now_ns();
	for (*opened = 0; !err && *opened < o->connections && !*o->stop;) {
		union endpoint peer = client_peer(o, *opened);
		struct amount amount = {0};
		int fd = -1;

		r->tally.begun++;
		err = client_connect(o, &peer, &fd);
		if (err) {
			tally_end(&r->tally, &amount, err);
			break;
		}
		r->connected++;
		err = client_exchange(o, fd, &amount);
		if (err)
			client_close(o, r, fd, &peer, &amount, err);
		else
			fds[(*opened)++] = fd;
	}
	return err;
}

void client_close_idle(const struct load_options *o, struct client_result *r, int *fds,
		       uint64_t opened)
{
	const struct amount amount = {.sent = o->request_bytes, .received = o->response_bytes};

	for (uint64_t i = 0; i < opened; i++) {
		union endpoint peer = client_peer(o, i);

		client_close(o, r, fds[i], &peer, &amount, 0);
	}
	r->end_ns = clock_now_ns();
}
