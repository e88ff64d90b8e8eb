/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conngen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LIST_BUFFER (1u << 20)

struct session {
	struct load_options options;
	enum mode mode;
	struct client_result client;
	struct tally server;
	uint64_t elapsed_ns;
	struct rusage before;
	FILE *list;
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
	(void)number;
	stop_asked = 1;
}

static int complain(const char *what, int err)
{
	fprintf(stderr, "conngen: %s: %s\n", what, strerror(-err));
	return 1;
}

static uint64_t timeval_ns(struct timeval after, struct timeval before)
{
	return (uint64_t)((after.tv_sec - before.tv_sec) * (int64_t)NS_PER_S +
			  (after.tv_usec - before.tv_usec) * 1000);
}

static void print_number(const char *name, uint64_t value)
{
	printf(", \"%s\": %llu", name, (unsigned long long)value);
}

static void print_errors(const char *name, const struct tally *t)
{
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{0, "other"},
		{ENODATA, "ended_early"},
		{EBADMSG, "wrong_bytes"},
		{EPROTO, "no_reset"},
		{ECONNREFUSED, "ECONNREFUSED"},
		{ECONNRESET, "ECONNRESET"},
		{EPIPE, "EPIPE"},
		{ETIMEDOUT, "ETIMEDOUT"},
		{EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{EHOSTUNREACH, "EHOSTUNREACH"},
		{ENETUNREACH, "ENETUNREACH"},
		{EMFILE, "EMFILE"},
		{ENFILE, "ENFILE"},
		{ENOMEM, "ENOMEM"},
		{ENOBUFS, "ENOBUFS"},
		{EACCES, "EACCES"},
		{EPERM, "EPERM"},
	};
	const char *comma = "";

	printf(", \"%s\": {", name);
	for (int err = 0; err < (int)LOAD_ERRNO_SLOTS; err++) {
		const char *label = NULL;

		if (!t->errors[err])
			continue;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (names[i].err == err)
				label = names[i].name;
		if (label)
			printf("%s\"%s\": ", comma, label);
		else
			printf("%s\"errno_%d\": ", comma, err);
		printf("%llu", (unsigned long long)t->errors[err]);
		comma = ", ";
	}
	printf("}");
}

static void print_where(const struct session *s, const char *state)
{
	const struct load_options *o = &s->options;
	const void *addr = &o->addr.v4.sin_addr;
	char text[INET6_ADDRSTRLEN];

	if (o->addr.any.sa_family == AF_INET6)
		addr = &o->addr.v6.sin6_addr;
	inet_ntop(o->addr.any.sa_family, addr, text, sizeof(text));
	printf("{\"state\": \"%s\", \"pid\": %d, \"addr\": \"%s\", \"port\": %u, \"ports\": [",
	       state, (int)getpid(), text, o->ports[0]);
	for (unsigned int i = 0; i < o->port_count; i++)
		printf("%s%u", i ? ", " : "", o->ports[i]);
	printf("]");
}

static void print_ready(const struct session *s, const char *state)
{
	print_where(s, state);
	printf("}\n");
	fflush(stdout);
}

static uint64_t wrong(const struct tally *t)
{
	return t->errors[EBADMSG] + t->errors[ENODATA];
}

static uint64_t unfinished(const struct tally *t)
{
	return t->begun - t->completed - t->failed;
}

static void print_report(const struct session *s)
{
	const struct tally *c = &s->client.tally, *v = &s->server;
	struct rusage after;

	getrusage(RUSAGE_SELF, &after);
	print_where(s, "done");
	print_number("threads", s->mode & (RUN | CLIENTS) ? s->options.threads : 1);
	print_number("server_threads", s->mode == CLIENTS ? 0 : s->options.server_threads);
	print_number("attempted", c->begun);
	print_number("connected", s->client.connected);
	print_number("completed", c->completed);
	print_number("failed", c->failed);
	print_number("mismatched", wrong(c));
	print_errors("errors", c);
	print_number("server_accepted", v->begun);
	print_number("server_completed", v->completed);
	print_number("server_failed", v->failed);
	print_number("server_mismatched", wrong(v));
	print_number("server_unfinished", unfinished(v));
	print_errors("server_errors", v);
	print_number("client_bytes_sent", c->bytes_sent);
	print_number("client_bytes_received", c->bytes_received);
	print_number("server_bytes_sent", v->bytes_sent);
	print_number("server_bytes_received", v->bytes_received);
	print_number("elapsed_ns", s->elapsed_ns);
	print_number("behind_max_ns", s->client.behind_max_ns);
	print_number("late", s->client.late);
	print_number("not_started", s->client.not_started);
	print_number("latency_p50_ns", latency_percentile(&s->client.latency, 50));
	print_number("latency_p90_ns", latency_percentile(&s->client.latency, 90));
	print_number("latency_p99_ns", latency_percentile(&s->client.latency, 99));
	print_number("latency_max_ns", s->client.latency.max_ns);
	print_number("cpu_user_ns", timeval_ns(after.ru_utime, s->before.ru_utime));
	print_number("cpu_system_ns", timeval_ns(after.ru_stime, s->before.ru_stime));
	printf("}\n");
}

static int session_verdict(const struct session *s)
{
	const struct tally *c = &s->client.tally, *v = &s->server;

	if (c->failed || unfinished(c) || v->failed || unfinished(v))
		return 1;
	/* stopped before all were made; a server's end by SIGTERM is the ordinary one */
	if (s->mode != SERVE && c->completed != s->options.connections)
		return 1;
	if (s->mode != CLIENTS && s->mode != SERVE && v->completed != c->completed)
		return 1;
	return 0;
}

static int session_run(struct session *s)
{
	struct server *server;
	int err = server_start(&s->options, &server);

	if (err)
		return complain("server: cannot listen (is the address local, the port free?)",
				err);
	err = client_run(&s->options, &s->client);
	server_drain(server, s->client.connected);
	server_stop(server, &s->server);
	return err ? complain("client: cannot start threads", err) : 0;
}

static int session_client(struct session *s)
{
	int err = client_run(&s->options, &s->client);

	return err ? complain("client: cannot start threads", err) : 0;
}

static int session_serve(struct session *s)
{
	struct server *server;
	uint64_t accepted = 0, ended = 0, begin_ns = clock_now_ns();
	int err = server_start(&s->options, &server);

	if (err)
		return complain("server: cannot listen (is the address local, the port free?)",
				err);
	print_ready(s, "listening");
	while (!stop_asked && (!s->options.connections || ended < s->options.connections)) {
		poll(NULL, 0, 20);
		server_progress(server, &accepted, &ended);
	}
	s->elapsed_ns = clock_now_ns() - begin_ns;
	server_stop(server, &s->server);
	return 0;
}

static void wait_stdin_eof(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char ignored[512];

	while (!stop_asked) {
		ssize_t n;

		if (poll(&in, 1, 1000) <= 0)
			continue;
		n = read(STDIN_FILENO, ignored, sizeof(ignored));
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
	}
}

static int session_idle(struct session *s)
{
	int *fds = calloc(s->options.connections, sizeof(*fds));
	struct server *server;
	uint64_t opened = 0;
	int err;

	if (!fds)
		return complain("idle", -ENOMEM);
	err = server_start(&s->options, &server);
	if (err) {
		free(fds);
		return complain("server: cannot listen (is the address local, the port free?)",
				err);
	}
	err = client_open_idle(&s->options, &s->client, fds, &opened);
	if (!err) {
		print_ready(s, "idle");
		wait_stdin_eof();
	}
	client_close_idle(&s->options, &s->client, fds, opened);
	server_drain(server, s->client.connected);
	server_stop(server, &s->server);
	free(fds);
	return err ? complain("client: cannot open", err) : 0;
}

static int list_open(struct session *s, const char *path)
{
	if (!path)
		return 0;
	s->list = fopen(path, "we");
	if (!s->list || setvbuf(s->list, NULL, _IOFBF, LIST_BUFFER))
		return complain(path, -errno);
	s->options.list = s->list;
	return 0;
}

static int list_close(struct session *s, const char *path)
{
	bool bad;

	if (!s->list)
		return 0;
	bad = ferror(s->list);
	return fclose(s->list) || bad ? complain(path, -EIO) : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		enum mode mode;
		int (*run)(struct session *s);
	} modes[] = {{RUN, session_run},
		     {SERVE, session_serve},
		     {CLIENTS, session_client},
		     {IDLE, session_idle}};
	static struct session s;
	struct sigaction on_stop = {.sa_handler = on_signal};
	const char *list = NULL;
	int err = options_parse(argc, argv, &s.mode, &s.options, &list), code = 1;

	if (err <= 0)
		return err == -LOAD_EXIT_USAGE ? LOAD_EXIT_USAGE : err != 0;
	sigaction(SIGINT, &on_stop, NULL);
	sigaction(SIGTERM, &on_stop, NULL);
	s.options.stop = &stop_asked;
	if (list_open(&s, list))
		return 1;
	getrusage(RUSAGE_SELF, &s.before);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (modes[i].mode == s.mode)
			code = modes[i].run(&s);
	if (s.mode != SERVE)
		s.elapsed_ns = s.client.end_ns - s.client.start_ns;
	if (list_close(&s, list))
		code = 1;
	print_report(&s);
	return code ? code : session_verdict(&s);
}
