/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dgramgen FLOWS SERVERS DATAGRAMS BYTES: makes UDP flows on this machine and says what it made.
 * One server socket after the other, SERVERS of them, takes the datagrams of its share of FLOWS
 * client sockets, which come one after the other and send DATAGRAMS of BYTES each. No two flows are
 * between the same addresses and ports. Each datagram is received before the next is sent, so none
 * is lost.
 *
 * Prints one JSON object. Exit codes: 0 all were sent and received, 1 not so, 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define BYTES_MAX  65000u
#define COUNT_MAX  100000000u
#define ADDRESSES  0x7f400001u /* 127.64.0.1 and on: clients */
#define SERVER     0x7f000001u
#define PORTS_EACH 20000u /* of an address */
#define PORT_FIRST 40000u
#define TIMEOUT_S  10
#define NS_PER_S   1000000000ull
#define ARGUMENTS  4

enum { FLOWS, SERVERS, DATAGRAMS, BYTES };

struct made {
	uint64_t flows;
	uint64_t sent, received; /* datagrams */
	uint64_t bytes;          /* received */
	uint64_t elapsed_ns;
};

static int complain(const char *what)
{
	fprintf(stderr, "dgramgen: %s: %s\n", what, strerror(errno));
	return -1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* A socket at an address and port (0: any), connected to a peer unless that is NULL. */
static int open_socket(uint32_t address, uint16_t port, const struct sockaddr_in *peer)
{
	struct sockaddr_in local = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
	const struct timeval patience = {.tv_sec = TIMEOUT_S};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return complain("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    (peer && connect(fd, (const struct sockaddr *)peer, sizeof(*peer)))) {
		close(fd);
		return complain("bind or connect");
	}
	return fd;
}

static int flow(int server, const struct sockaddr_in *to, const uint64_t *of, struct made *made)
{
	static char bytes[BYTES_MAX];
	uint32_t address = ADDRESSES + (uint32_t)(made->flows / PORTS_EACH);
	int client = open_socket(address, (uint16_t)(PORT_FIRST + made->flows % PORTS_EACH), to);
	int err = client < 0 ? -1 : 0;

	for (uint64_t i = 0; !err && i < of[DATAGRAMS]; i++) {
		if (send(client, bytes, of[BYTES], 0) != (ssize_t)of[BYTES]) {
			err = complain("send");
			break;
		}
		made->sent++;
		if (recv(server, bytes, sizeof(bytes), 0) != (ssize_t)of[BYTES]) {
			err = complain("receive");
			break;
		}
		made->received++;
		made->bytes += of[BYTES];
	}
	if (client >= 0)
		close(client);
	made->flows++;
	return err;
}

static int serve(uint64_t flows, const uint64_t *of, struct made *made)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int err = 0, server = open_socket(SERVER, 0, NULL);

	if (server < 0)
		return -1;
	if (getsockname(server, (struct sockaddr *)&at, &len))
		err = complain("getsockname");
	while (!err && flows--)
		err = flow(server, &at, of, made);
	close(server);
	return err;
}

static int parse(char **argv, uint64_t of[ARGUMENTS])
{
	static const uint64_t most[] = {[FLOWS] = COUNT_MAX,
					[SERVERS] = COUNT_MAX,
					[DATAGRAMS] = COUNT_MAX,
					[BYTES] = BYTES_MAX};

	for (int i = 0; i < ARGUMENTS; i++) {
		char *end;

		of[i] = strtoull(argv[i], &end, 10);
		if (*end || *argv[i] < '0' || *argv[i] > '9' || !of[i] || of[i] > most[i])
			return -1;
	}
	return of[SERVERS] > of[FLOWS] ? -1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t of[ARGUMENTS], begin_ns;
	struct made made = {0};
	int err = 0;

	if (argc != 1 + ARGUMENTS || parse(argv + 1, of)) {
		fprintf(stderr, "Usage: dgramgen FLOWS SERVERS DATAGRAMS BYTES\n");
		return EXIT_USAGE;
	}
	begin_ns = now_ns();
	for (uint64_t i = 0; !err && i < of[SERVERS]; i++)
		err = serve(of[FLOWS] * (i + 1) / of[SERVERS] - made.flows, of, &made);
	made.elapsed_ns = now_ns() - begin_ns;
	printf("{\"flows\": %llu, \"datagrams_sent\": %llu, \"datagrams_received\": %llu, "
	       "\"bytes\": %llu, \"elapsed_ns\": %llu}\n",
	       (unsigned long long)made.flows, (unsigned long long)made.sent,
	       (unsigned long long)made.received, (unsigned long long)made.bytes,
	       (unsigned long long)made.elapsed_ns);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
