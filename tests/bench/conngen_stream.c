/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "conngen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD      251u   /* prime: a shift by any usual buffer size shows */
#define DRAIN_STEPS 20000u /* of 50 us: at most a second */

uint64_t clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

	nanosleep(&ts, NULL);
}

void sleep_until(uint64_t deadline_ns, const volatile sig_atomic_t *stop)
{
	uint64_t now = clock_now_ns();

	while (now < deadline_ns && !*stop) {
		uint64_t left = deadline_ns - now;

		sleep_ns(left < 100 * NS_PER_MS ? left : 100 * NS_PER_MS);
		now = clock_now_ns();
	}
}

void latency_add(struct latency *l, uint64_t ns)
{
	unsigned int shift = 0, group = 0;

	if (ns >> LATENCY_SUB_BITS) {
		shift = 63u - (unsigned int)__builtin_clzll(ns) - LATENCY_SUB_BITS;
		group = shift + 1;
	}
	l->buckets[(group << LATENCY_SUB_BITS) +
		   ((ns >> shift) & ((1u << LATENCY_SUB_BITS) - 1))]++;
	l->count++;
	if (ns > l->max_ns)
		l->max_ns = ns;
}

uint64_t latency_percentile(const struct latency *l, double percent)
{
	uint64_t rank = (uint64_t)((double)l->count * percent / 100.0), seen = 0;

	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		unsigned int group = i >> LATENCY_SUB_BITS, shift = group ? group - 1 : 0;
		uint64_t low = i & ((1u << LATENCY_SUB_BITS) - 1);

		seen += l->buckets[i];
		if (seen <= rank)
			continue;
		if (group)
			low = (low + (1u << LATENCY_SUB_BITS)) << shift;
		low += (1ull << shift) / 2;
		return low < l->max_ns ? low : l->max_ns;
	}
	return l->max_ns;
}

void tally_end(struct tally *t, const struct amount *a, int err)
{
	t->bytes_sent += a->sent;
	t->bytes_received += a->received;
	if (!err) {
		t->completed++;
		return;
	}
	t->failed++;
	t->errors[(unsigned int)-err < LOAD_ERRNO_SLOTS ? -err : 0]++;
}

void tally_add(struct tally *sum, const struct tally *t)
{
	sum->begun += t->begun;
	sum->completed += t->completed;
	sum->failed += t->failed;
	sum->bytes_sent += t->bytes_sent;
	sum->bytes_received += t->bytes_received;
	for (unsigned int i = 0; i < LOAD_ERRNO_SLOTS; i++)
		sum->errors[i] += t->errors[i];
}

socklen_t endpoint_len(const union endpoint *e)
{
	return e->any.sa_family == AF_INET ? sizeof(e->v4) : sizeof(e->v6);
}

/* IPv4-mapped addresses are written as IPv4: the connection is one. */
static uint16_t endpoint_text(const union endpoint *e, char text[INET6_ADDRSTRLEN])
{
	const void *addr = &e->v4.sin_addr;
	int family = e->any.sa_family;

	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&e->v6.sin6_addr)) {
		addr = &e->v6.sin6_addr.s6_addr[12];
		family = AF_INET;
	} else if (family == AF_INET6) {
		addr = &e->v6.sin6_addr;
	}
	inet_ntop(family, addr, text, INET6_ADDRSTRLEN);
	return ntohs(e->v4.sin_port); /* the same place in both families */
}

void list_write(FILE *f, const char *side, const union endpoint *local, const union endpoint *peer,
		const struct amount *a)
{
	char saddr[INET6_ADDRSTRLEN], daddr[INET6_ADDRSTRLEN];
	unsigned int sport = endpoint_text(local, saddr), dport = endpoint_text(peer, daddr);

	fprintf(f, "%s %s %u %s %u %llu %llu\n", side, saddr, sport, daddr, dport,
		(unsigned long long)a->sent, (unsigned long long)a->received);
}

static unsigned char patterns[2][PERIOD + LOAD_CHUNK];

static void patterns_fill(void)
{
	for (unsigned int i = 0; i < PERIOD + LOAD_CHUNK; i++) {
		patterns[CLIENT][i] = (unsigned char)(i % PERIOD);
		patterns[SERVER][i] = (unsigned char)(PERIOD - i % PERIOD);
	}
}

int patterns_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return -pthread_once(&once, patterns_fill);
}

int stream_send(int fd, enum side sender, uint64_t *done, uint64_t total)
{
	while (*done < total) {
		uint64_t left = total - *done;
		int more = left > LOAD_CHUNK ? MSG_MORE : 0;
		ssize_t n = send(fd, patterns[sender] + *done % PERIOD,
				 left < LOAD_CHUNK ? left : LOAD_CHUNK, MSG_NOSIGNAL | more);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		*done += (uint64_t)n;
	}
	return 0;
}

int stream_receive(int fd, enum side sender, uint64_t *done, uint64_t total)
{
	static _Thread_local unsigned char buf[LOAD_CHUNK];

	while (*done < total) {
		const unsigned char *expected = patterns[sender] + *done % PERIOD;
		uint64_t left = total - *done;
		ssize_t n = recv(fd, buf, left < LOAD_CHUNK ? left : LOAD_CHUNK, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		*done += (uint64_t)n;
		if (memcmp(buf, expected, (size_t)n) != 0)
			return -EBADMSG;
	}
	return 0;
}

int stream_receive_end(int fd, bool reset, uint64_t *received)
{
	unsigned char extra[256];
	ssize_t n;

	do {
		n = recv(fd, extra, sizeof(extra), 0);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		*received += (uint64_t)n;
		return -EBADMSG;
	}
	if (n == 0)
		return reset ? -EPROTO : 0;
	return reset && errno == ECONNRESET ? 0 : -errno;
}

int stream_reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	int unacked = 1;

	for (unsigned int i = 0; i < DRAIN_STEPS; i++) {
		if (ioctl(fd, SIOCOUTQ, &unacked))
			return -errno;
		if (!unacked)
			break;
		sleep_ns(50000);
	}
	if (unacked)
		return -ETIMEDOUT;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) ? -errno : 0;
}

int thread_start(const struct load_options *o, unsigned int n, bool from_last, void *(*run)(void *),
		 void *arg, pthread_t *out)
{
	cpu_set_t allowed, one;
	pthread_attr_t attr;
	unsigned int skip, count;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	if (o->pin && !sched_getaffinity(0, sizeof(allowed), &allowed)) {
		count = (unsigned int)CPU_COUNT(&allowed);
		skip = from_last ? count - 1 - n % count : n % count;
		CPU_ZERO(&one);
		for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (CPU_ISSET(cpu, &allowed) && skip-- == 0) {
				CPU_SET(cpu, &one);
				break;
			}
		}
		err = pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	}
	if (!err)
		err = pthread_create(out, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return -err;
}
