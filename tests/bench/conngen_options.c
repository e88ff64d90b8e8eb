/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conngen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define FILES_LIMIT        (1u << 20)
#define FILES_RESERVED     64u
#define CONNECTIONS_A_PORT 10000u
#define DEFAULT_TIMEOUT_MS 10000u

struct arguments {
	const char *addr, *port, *close, *list;
	uint64_t connections, ports, threads, server_threads, rate, request, response, hold_ms,
		timeout_ms;
	bool reset, pin, until_eof;
};

enum kind { NUMBER, TEXT, FLAG };

struct option_row {
	const char *name;
	enum kind kind;
	size_t offset;
	unsigned int modes;
	uint64_t min, max;
	const char *value, *help;
};

#define ALL    (RUN | SERVE | CLIENTS | IDLE)
#define ROW(f) offsetof(struct arguments, f)

static const struct option_row option_rows[] = {
	{"connections", NUMBER, ROW(connections), ALL, 1, 100000000, "N",
	 "connections to make; server: exit after N (default: on SIGTERM)"},
	{"addr", TEXT, ROW(addr), ALL, 0, 0, "IP", "where the server listens (default 127.0.0.1)"},
	{"port", TEXT, ROW(port), ALL, 0, 0, "P[,P...]",
	 "ports of the server (default 0: chosen by the kernel)"},
	{"ports", NUMBER, ROW(ports), RUN | SERVE | IDLE, 1, LOAD_PORTS_MAX, "K",
	 "number of ports for --port 0 (default: one per 10000 connections)"},
	{"threads", NUMBER, ROW(threads), RUN | CLIENTS, 1, LOAD_THREADS_MAX, "T",
	 "client threads, one connection at a time each (default 1)"},
	{"server-threads", NUMBER, ROW(server_threads), RUN | SERVE | IDLE, 1, LOAD_THREADS_MAX,
	 "S", "server threads, any number of connections each (default 1)"},
	{"rate", NUMBER, ROW(rate), RUN | CLIENTS, 1, 10000000, "R",
	 "open loop: R connections are due per second (default: as fast as possible)"},
	{"request", NUMBER, ROW(request), ALL, 0, 1ull << 40, "BYTES",
	 "from client to server (default 64, idle 0)"},
	{"response", NUMBER, ROW(response), ALL, 0, 1ull << 40, "BYTES",
	 "from server to client (default 256, idle 0)"},
	{"close", TEXT, ROW(close), RUN | SERVE | CLIENTS, 0, 0, "client|server",
	 "who closes first (default client)"},
	{"hold", NUMBER, ROW(hold_ms), RUN | SERVE | CLIENTS, 0, 86400000, "MS",
	 "time between the exchange and the close (default 0)"},
	{"hold-until-stdin-eof", FLAG, ROW(until_eof), IDLE, 0, 0, NULL,
	 "close when standard input ends (the only way of idle)"},
	{"reset", FLAG, ROW(reset), ALL, 0, 0, NULL, "the first to close sends RST, not FIN"},
	{"pin", FLAG, ROW(pin), ALL, 0, 0, NULL,
	 "one CPU per thread: clients from the first, servers from the last"},
	{"timeout", NUMBER, ROW(timeout_ms), ALL, 1, 3600000, "MS",
	 "of each call, of a standstill, and of what is due (default 10000)"},
	{"list", TEXT, ROW(list), ALL, 0, 0, "FILE",
	 "a line per connection end: client|server saddr sport daddr dport sent received"},
};

#define OPTION_ROWS (sizeof(option_rows) / sizeof(option_rows[0]))

static const struct mode_row {
	const char *name, *help;
	enum mode mode;
} mode_rows[] = {
	{"run", "server and clients in this process", RUN},
	{"server", "only the server; prints its ports when it listens", SERVE},
	{"client", "only the clients; needs --port", CLIENTS},
	{"idle", "open --connections and keep them open, server included", IDLE},
};

#define MODE_ROWS (sizeof(mode_rows) / sizeof(mode_rows[0]))

static int usage_error(const char *subject, const char *reason)
{
	fprintf(stderr, "conngen: %s: %s; see conngen --help\n", subject, reason);
	return -LOAD_EXIT_USAGE;
}

static int print_help(void)
{
	printf("Usage: conngen run|server|client|idle [options]\n\n"
	       "Makes short TCP connections (connect, request, response, close) and counts\n"
	       "connections and bytes on both sides. One JSON object is printed at the end.\n\n");
	for (size_t i = 0; i < MODE_ROWS; i++)
		printf("  %-8s %s\n", mode_rows[i].name, mode_rows[i].help);
	printf("\n");
	for (size_t i = 0; i < OPTION_ROWS; i++) {
		const struct option_row *row = &option_rows[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s %s", row->name, row->value ? row->value : "");
		printf("  %-24s %s\n", left, row->help);
	}
	printf("\nLatency is from connect to close without the hold. A client and a server that "
	       "are\n"
	       "processes of their own need the same --request, --response, --close and --hold.\n"
	       "With --rate latency is from when the connection was due; late ones began more\n"
	       "than 10 ms after that, and those not started found no thread within the timeout.\n"
	       "Many connections need many ephemeral ports: a port is taken once per destination\n"
	       "while in TIME_WAIT, so the connections are spread over several listening ports.\n"
	       "Exit codes: 0 all connections right, 1 some failed or moved wrong bytes, 2 "
	       "usage.\n");
	return 0;
}

static int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno || *end || *text < '0' || *text > '9' || *out < min || *out > max ? -ERANGE
										       : 0;
}

/* Returns the arguments used, or -LOAD_EXIT_USAGE. */
static int option_parse(const struct option_row *row, enum mode mode, const char *value,
			struct arguments *a)
{
	char *field = (char *)a + row->offset, reason[96];

	if (!(row->modes & mode))
		return usage_error(row->name, "not an option of this mode");
	if (row->kind == FLAG) {
		*(bool *)(void *)field = true;
		return 1;
	}
	if (!value)
		return usage_error(row->name, "needs a value");
	if (row->kind == TEXT) {
		*(const char **)(void *)field = value;
		return 2;
	}
	if (number_parse(value, row->min, row->max, (uint64_t *)(void *)field)) {
		snprintf(reason, sizeof(reason), "must be a number from %llu to %llu",
			 (unsigned long long)row->min, (unsigned long long)row->max);
		return usage_error(row->name, reason);
	}
	return 2;
}

static int arguments_parse(int argc, char **argv, enum mode mode, struct arguments *a)
{
	for (int i = 2, used; i < argc; i += used) {
		const struct option_row *row = NULL;

		for (size_t k = 0; k < OPTION_ROWS; k++)
			if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, option_rows[k].name))
				row = &option_rows[k];
		if (!row)
			return usage_error(argv[i], "unknown option");
		used = option_parse(row, mode, argv[i + 1], a);
		if (used < 0)
			return used;
	}
	if (mode != SERVE && !a->connections)
		return usage_error("connections", "must be given");
	if (mode == CLIENTS && !a->port)
		return usage_error("port", "must be given: the ports the server printed");
	if (mode == IDLE && !a->until_eof)
		return usage_error("idle", "needs --hold-until-stdin-eof");
	if (a->close && strcmp(a->close, "client") != 0 && strcmp(a->close, "server") != 0)
		return usage_error("close", "must be client or server");
	return 0;
}

static int address_parse(const char *text, union endpoint *e)
{
	memset(e, 0, sizeof(*e));
	if (inet_pton(AF_INET, text, &e->v4.sin_addr) == 1)
		e->any.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &e->v6.sin6_addr) == 1)
		e->any.sa_family = AF_INET6;
	else
		return usage_error("addr", "not an IPv4 or IPv6 address");
	return 0;
}

static int ports_parse(const struct arguments *a, enum mode mode, struct load_options *o)
{
	const char *text = a->port ? a->port : "0";
	uint64_t port, count = a->ports;
	char one[8];

	while (*text) {
		size_t len = strcspn(text, ",");

		if (o->port_count == LOAD_PORTS_MAX || len >= sizeof(one))
			return usage_error("port", "at most 64 numbers, separated by commas");
		memcpy(one, text, len);
		one[len] = '\0';
		if (number_parse(one, mode == CLIENTS, UINT16_MAX, &port))
			return usage_error("port", "not a port number");
		o->ports[o->port_count++] = (uint16_t)port;
		text += len + (text[len] == ',');
	}
	if (o->port_count != 1 || o->ports[0])
		return a->ports ? usage_error("ports", "only with --port 0") : 0;
	if (!count)
		count = (a->connections + CONNECTIONS_A_PORT - 1) / CONNECTIONS_A_PORT;
	count = count ? count : 1;
	o->port_count = count < LOAD_PORTS_MAX ? (unsigned int)count : LOAD_PORTS_MAX;
	return 0;
}

static int files_raise(enum mode mode, struct load_options *o)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	files.rlim_cur = files.rlim_max < FILES_LIMIT ? files.rlim_max : FILES_LIMIT;
	if (setrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	o->files_max = (unsigned int)files.rlim_cur;
	if (mode == IDLE && o->connections * 2 + FILES_RESERVED > o->files_max) {
		fprintf(stderr,
			"conngen: %llu idle connections need more open files than the hard limit "
			"of %u: raise it with ulimit -Hn\n",
			(unsigned long long)o->connections, o->files_max);
		return -EMFILE;
	}
	return 0;
}

static int options_make(const struct arguments *a, enum mode mode, struct load_options *o,
			const char **list)
{
	int err = address_parse(a->addr ? a->addr : "127.0.0.1", &o->addr);

	if (!err)
		err = ports_parse(a, mode, o);
	if (err)
		return err;
	o->connections = a->connections;
	o->threads = (unsigned int)(a->threads < a->connections ? a->threads : a->connections);
	o->server_threads = (unsigned int)a->server_threads;
	o->rate = a->rate;
	o->request_bytes = a->request;
	o->response_bytes = a->response;
	o->hold_ns = a->hold_ms * NS_PER_MS;
	o->timeout_ns = a->timeout_ms * NS_PER_MS;
	o->server_closes = a->close && !strcmp(a->close, "server");
	o->reset = a->reset;
	o->pin = a->pin;
	*list = a->list;
	return 0;
}

int options_parse(int argc, char **argv, enum mode *mode, struct load_options *o, const char **list)
{
	struct arguments a = {.threads = 1, .server_threads = 1, .timeout_ms = DEFAULT_TIMEOUT_MS};
	int err;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return print_help();
	*mode = 0;
	for (size_t i = 0; argc > 1 && i < MODE_ROWS; i++)
		if (!strcmp(argv[1], mode_rows[i].name))
			*mode = mode_rows[i].mode;
	if (!*mode)
		return usage_error(argc > 1 ? argv[1] : "mode",
				   "must be run, server, client or idle");
	if (*mode != IDLE) {
		a.request = 64;
		a.response = 256;
	}
	err = arguments_parse(argc, argv, *mode, &a);
	if (!err)
		err = options_make(&a, *mode, o, list);
	if (!err)
		err = files_raise(*mode, o);
	return err ? err : 1;
}
