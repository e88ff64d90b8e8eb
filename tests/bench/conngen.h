/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator. conngen_options.c reads the command line, conngen_client.c makes connections,
 * conngen_server.c serves them, conngen_stream.c has what both need, conngen.c runs and reports.
 * Every count is of what this
 * program itself did: it is the ground truth that a tracer's records are compared with.
 */
#ifndef CONNTRACE_TESTS_CONNGEN_H
#define CONNTRACE_TESTS_CONNGEN_H

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#define LOAD_PORTS_MAX   64u
#define LOAD_THREADS_MAX 64u
#define LOAD_ERRNO_SLOTS 136u

/* 256 linear steps per power of two: a bucket is at most 0.4 % wide. */
#define LATENCY_SUB_BITS 8u
#define LATENCY_BUCKETS  ((65u - LATENCY_SUB_BITS) << LATENCY_SUB_BITS)

union endpoint {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

enum mode { RUN = 1, SERVE = 2, CLIENTS = 4, IDLE = 8 };

#define LOAD_EXIT_USAGE 2

#define LOAD_LATE_NS 10000000ull

/* What both ends must agree on. Times are nanoseconds, sizes payload bytes per connection. */
struct load_options {
	union endpoint addr; /* port unset */
	uint16_t ports[LOAD_PORTS_MAX];
	unsigned int port_count;
	unsigned int threads; /* of clients */
	unsigned int server_threads;
	unsigned int files_max; /* limit of open files: fds are below it */
	uint64_t connections;   /* 0 = no end (server only) */
	uint64_t rate;          /* connections per second, 0 = closed loop */
	uint64_t request_bytes;
	uint64_t response_bytes;
	uint64_t hold_ns;
	uint64_t
		timeout_ns; /* of each blocking call, of a standstill, of an arrival in open loop */
	bool server_closes; /* who closes first */
	bool reset;         /* the first to close sends RST */
	bool pin;           /* one CPU per thread, clients from the first, servers from the last */
	FILE *list;         /* one line per connection end, or NULL; borrowed */
	const volatile sig_atomic_t *stop;
};

/*
 * One side's account. begun = completed + failed + (still open). errors[] is indexed by errno, and
 * by ENODATA for a stream that ended early and EBADMSG for bytes that are not the expected ones.
 */
struct tally {
	uint64_t begun;
	uint64_t completed;
	uint64_t failed;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t errors[LOAD_ERRNO_SLOTS];
};

/*
 * Connect to close, the hold taken off; completed connections only. In open loop it begins when the
 * connection was due, so what keeps the generator waiting is in it.
 */
struct latency {
	uint64_t count;
	uint64_t max_ns;
	uint32_t buckets[LATENCY_BUCKETS];
};

/*
 * Reads the command line and raises the limit of open files. Returns 1 to go on, 0 when help was
 * printed, -LOAD_EXIT_USAGE or another negative errno after saying why on stderr. options->stop and
 * list stay unset; *list is the list's file name or NULL, owned by argv.
 */
int options_parse(int argc, char **argv, enum mode *mode, struct load_options *options,
		  const char **list);

#define NS_PER_S   1000000000ull
#define NS_PER_MS  1000000ull
#define LOAD_CHUNK (64u * 1024u)

enum side { CLIENT, SERVER };

/* Payload bytes of one end of one connection. */
struct amount {
	uint64_t sent;
	uint64_t received;
};

uint64_t clock_now_ns(void); /* CLOCK_MONOTONIC */

/* Sleeps in slices of 100 ms at most, so that a stop is noticed. */
void sleep_until(uint64_t deadline_ns, const volatile sig_atomic_t *stop);

void latency_add(struct latency *l, uint64_t ns);
uint64_t latency_percentile(const struct latency *l, double percent);

/* A connection ended: err is 0 or the negative errno it failed with. */
void tally_end(struct tally *t, const struct amount *a, int err);
void tally_add(struct tally *sum, const struct tally *t);

socklen_t endpoint_len(const union endpoint *e);

/* Writes "client|server saddr sport daddr dport bytes_sent bytes_received"; buffered, locked. */
void list_write(FILE *f, const char *side, const union endpoint *local, const union endpoint *peer,
		const struct amount *a);

/* To be called before the first stream_send(). Returns 0 or a negative errno. */
int patterns_init(void);

/*
 * Send the sender's pattern, or check that it arrives, from *done on up to total. Return 0 when all
 * is done, -EAGAIN to be called again, -ENODATA: the stream ended early, -EBADMSG: bytes that are
 * not the expected ones, or another negative errno.
 */
int stream_send(int fd, enum side sender, uint64_t *done, uint64_t total);
int stream_receive(int fd, enum side sender, uint64_t *done, uint64_t total);

/*
 * The peer must end the stream now without one byte more: with reset by RST, else by FIN. Returns
 * 0, -EAGAIN, -EBADMSG (bytes, added to *received), -EPROTO (FIN for RST) or another negative
 * errno.
 */
int stream_receive_end(int fd, bool reset, uint64_t *received);

/*
 * Makes close() send RST, once everything sent is acknowledged: a reset throws away the rest. Waits
 * a second at most. Returns 0 or a negative errno.
 */
int stream_reset_on_close(int fd);

/* Starts a thread, with options->pin on one CPU: the n-th allowed, counted round from either end.
 */
int thread_start(const struct load_options *o, unsigned int n, bool from_last, void *(*run)(void *),
		 void *arg, pthread_t *out);

struct server;

/*
 * Listens on options->addr and its ports (0 = chosen by the kernel; the numbers are written back)
 * and serves in server_threads threads. options must outlive the server. Returns 0 or a negative
 * errno.
 */
int server_start(struct load_options *options, struct server **out);

/* Connections accepted and connections finished so far, in whatever way. */
void server_progress(const struct server *s, uint64_t *accepted, uint64_t *ended);

/* Waits until `expected` connections and every accepted one ended, or none did for timeout_ns. */
void server_drain(const struct server *s, uint64_t expected);

/* Stops the threads, adds their account to *sum and frees the server. */
void server_stop(struct server *s, struct tally *sum);

struct client_result {
	struct tally tally;
	struct latency latency;
	uint64_t connected;     /* connect() succeeded */
	uint64_t start_ns;      /* CLOCK_MONOTONIC */
	uint64_t end_ns;        /* the last connection was closed */
	uint64_t behind_max_ns; /* open loop: the latest start against the schedule */
	uint64_t late;          /* started more than LOAD_LATE_NS after it */
	uint64_t not_started;   /* due for timeout_ns, and no thread was free */
};

/* Makes options->connections connections; returns when all are closed. 0 or a negative errno. */
int client_run(const struct load_options *options, struct client_result *result);

/*
 * Opens options->connections connections into fds[], exchanging request and response on each. Stops
 * at the first failure; *opened says how many fds are valid. Returns 0 or a negative errno.
 */
int client_open_idle(const struct load_options *options, struct client_result *result, int *fds,
		     uint64_t *opened);

/* Closes what client_open_idle() opened. */
void client_close_idle(const struct load_options *options, struct client_result *result, int *fds,
		       uint64_t opened);

#endif
