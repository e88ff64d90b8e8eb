/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that breaks the rules of its channel: test_hostile.py puts it in a child's place.
 *
 * Children get no arguments and no environment, so what to do is in HOSTILE_DIR, named when this is
 * compiled: `attack` holds an attack's name, `times` how many starts play it, `count` how many have
 * (and is the one file this user may write). A later start becomes NAME.real in HOSTILE_DIR/bin.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/memfd.h"
#include "common/msg.h"
#include "common/proto.h"

#ifndef HOSTILE_DIR
#define HOSTILE_DIR "." /* the test compiles it with its own */
#endif

#define LIFETIME_S 60 /* whoever forgets to kill it */
#define FDS_MOST   200u
#define FRAME_MOST 70000u

/* One attack: what is said before it, and the frame that is one. */
struct attack {
	const char *name;
	bool silent; /* no HELLO before it */
	bool ready;  /* READY before it */
	bool again;  /* and again, without end */
	uint32_t fds;
	size_t len; /* of the frame: head, then zeros */
	uint8_t head[16];
	size_t (*build)(uint8_t *frame, size_t cap); /* instead of head and len */
	void (*act)(void);                           /* instead of a frame */
};

static enum role own_role;

static size_t packed(enum msg_type type, const void *msg, uint8_t *frame, size_t cap)
{
	int len = msg_pack(type, msg, frame, cap);

	if (len < 0)
		exit(EX_SOFTWARE);
	return (size_t)len;
}

static size_t build_hello(uint8_t *frame, size_t cap)
{
	struct msg_hello hello = {
		.role = own_role, .pid = (uint32_t)getpid(), .version = PROTO_VERSION};

	return packed(MSG_HELLO, &hello, frame, cap);
}

static size_t build_hello_pid(uint8_t *frame, size_t cap)
{
	struct msg_hello hello = {.role = own_role, .pid = 1, .version = PROTO_VERSION};

	return packed(MSG_HELLO, &hello, frame, cap);
}

static size_t build_hello_role(uint8_t *frame, size_t cap)
{
	struct msg_hello hello = {.role = own_role == ROLE_LOADER ? ROLE_EXPORTER : ROLE_LOADER,
				  .pid = (uint32_t)getpid(),
				  .version = PROTO_VERSION};

	return packed(MSG_HELLO, &hello, frame, cap);
}

static size_t build_step(uint8_t *frame, size_t cap)
{
	struct msg_step step = {.tracer = "hostile", .name = "attach"};

	return packed(MSG_STEP, &step, frame, cap);
}

/* All that custody asks for by name, and none of it from BPF. */
static size_t build_loaded(uint8_t *frame, size_t cap)
{
	static const uint32_t kinds[] = {FD_RING,      FD_COUNTERS, FD_LEDGER, FD_SETTINGS,
					 FD_TELEMETRY, FD_HITS,     FD_LINK};
	struct msg_loaded loaded = {.manifest.identity = 1, .manifest.fd_count = 7};

	for (uint32_t i = 0; i < loaded.manifest.fd_count; i++)
		loaded.manifest.fds[i].kind = kinds[i];
	return packed(MSG_LOADED, &loaded, frame, cap);
}

/* More text than a configuration may have. */
static size_t build_candidate(uint8_t *frame, size_t cap)
{
	struct msg_candidate candidate = {
		.part_count = 1, .parts = {{.name = "10-big.yaml", .len_bytes = UINT32_MAX}}};

	return packed(MSG_CANDIDATE, &candidate, frame, cap);
}

/* A length that is not the memfd's, and no memfd. */
static size_t build_candidate_fd(uint8_t *frame, size_t cap)
{
	struct msg_candidate candidate = {.part_count = 1,
					  .parts = {{.name = "10-none.yaml", .len_bytes = 4096}}};

	return packed(MSG_CANDIDATE, &candidate, frame, cap);
}

static void act_bundles(void);

/* A first byte of 0x92 is an array of two, 0xdd one whose four bytes of length follow. */
static const struct attack attacks[] = {
	{.name = "say nothing", .silent = true},
	{.name = "hang up", .len = 0},
	{.name = "unknown type", .len = 2, .head = {0x91, 0x7f}},
	{.name = "type zero", .len = 2, .head = {0x91, MSG_NONE}},
	{.name = "no message", .len = 8, .head = {0xc1, 0xff, 0xff}},
	{.name = "wrong arity", .len = 4, .head = {0x93, MSG_HEALTH, 0, 0}},
	{.name = "wrong kind", .len = 4, .head = {0x92, MSG_HEALTH, 0xa1, 'x'}},
	{.name = "negative", .len = 3, .head = {0x92, MSG_HEALTH, 0xff}},
	{.name = "bytes left over", .len = 4, .head = {0x92, MSG_HEALTH, 0, 0}},
	{.name = "too large", .len = 65, .head = {0x92, MSG_READY}},
	{.name = "truncated", .len = 5, .head = {0x92, MSG_HEALTH, 0xcf, 1, 2}},
	{.name = "huge array", .len = 7, .head = {0x92, MSG_HEALTH, 0xdd, 0xff, 0xff, 0xff, 0xff}},
	{.name = "huge array at work",
	 .ready = true,
	 .len = 7,
	 .head = {0x92, MSG_STATS, 0xdd, 0xff, 0xff, 0xff, 0xff}},
	{.name = "deep nesting",
	 .len = 16,
	 .head = {0x92, MSG_HEALTH, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91,
		  0x91, 0x91, 0x91, 0x91}},
	{.name = "wrong count", .ready = true, .len = 4, .head = {0x92, MSG_STATS, 0x91, 0}},
	{.name = "flood", .ready = true, .again = true, .len = 3, .head = {0x92, MSG_HEALTH, 0}},
	{.name = "unexpected fd", .fds = 1, .len = 3, .head = {0x92, MSG_READY, 0}},
	{.name = "one fd too many",
	 .fds = PROTO_FDS_MAX + 1,
	 .len = 3,
	 .head = {0x92, MSG_READY, 0}},
	{.name = "200 fds", .fds = FDS_MOST, .len = 3, .head = {0x92, MSG_READY, 0}},
	{.name = "70000 bytes", .fds = 3, .len = FRAME_MOST, .head = {0x92, MSG_READY}},
	{.name = "hello twice", .build = build_hello},
	{.name = "early health", .silent = true, .len = 3, .head = {0x92, MSG_HEALTH, 0}},
	{.name = "early stats", .len = 3, .head = {0x92, MSG_STATS, 0x90}},
	{.name = "ready too soon", .len = 3, .head = {0x92, MSG_READY, 0}},
	{.name = "wrong pid", .silent = true, .build = build_hello_pid},
	{.name = "wrong role", .silent = true, .build = build_hello_role},
	{.name = "step", .build = build_step},
	{.name = "loaded", .fds = 7, .build = build_loaded},
	{.name = "too few fds", .ready = true, .build = build_candidate},
	{.name = "huge candidate", .ready = true, .fds = 1, .build = build_candidate},
	{.name = "no memfd", .ready = true, .fds = 1, .build = build_candidate_fd},
	{.name = "bundles", .ready = true, .act = act_bundles},
	{.name = "supervisor's", .len = 3, .head = {0x92, MSG_WALK, 0}},
};

static bool read_word(const char *name, char *word, size_t cap)
{
	char path[512];
	FILE *file;
	bool got;

	snprintf(path, sizeof(path), "%s/%s", HOSTILE_DIR, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fgets(word, (int)cap, file) != NULL;
	fclose(file);
	if (got)
		word[strcspn(word, "\n")] = '\0';
	return got;
}

static unsigned long read_number(const char *name)
{
	char word[32];

	if (!read_word(name, word, sizeof(word)))
		exit(EX_NOINPUT);
	return strtoul(word, NULL, 10);
}

static void count_up(unsigned long count)
{
	FILE *file = fopen(HOSTILE_DIR "/count", "r+e");

	if (!file || fprintf(file, "%lu\n", count) < 0 || fclose(file) != 0)
		exit(EX_IOERR);
}

static enum role role_of(const char *program)
{
	for (uint32_t role = 0; role < ROLE_COUNT; role++) {
		char name[64];

		snprintf(name, sizeof(name), "conntrace-%s", proto_role_name(role));
		if (strcmp(name, program) == 0)
			return (enum role)role;
	}
	exit(EX_USAGE);
}

static void send_frame(const uint8_t *frame, size_t len, uint32_t fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MOST)] = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	int sent[FDS_MOST] = {0};

	if (fds) {
		struct cmsghdr *cmsg;

		hdr.msg_control = control;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * fds);
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fds);
		memcpy(CMSG_DATA(cmsg), sent, sizeof(int) * fds);
	}
	while (sendmsg(PROTO_CHILD_FD, &hdr, MSG_NOSIGNAL) < 0) {
		struct pollfd room = {.fd = PROTO_CHILD_FD, .events = POLLOUT};

		if (errno == EAGAIN) {
			(void)poll(&room, 1, -1);
			continue;
		}
		/* Found out: it is the supervisor who ends it. */
		while (errno == EPIPE || errno == ECONNRESET)
			pause();
		fprintf(stderr, "hostile child: send: %s\n", strerror(errno));
		exit(EX_IOERR);
	}
}

/* The file `bundle` in HOSTILE_DIR, as what was fetched, each time that it is another one. */
static void send_bundle(void)
{
	static struct stat sent;
	static char bytes[1u << 20];
	struct msg_candidate candidate = {
		.kind = CANDIDATE_BUNDLE, .part_count = 1, .parts = {{.name = "bundle"}}};
	static uint8_t frame[PROTO_FRAME_MAX];
	int file = open(HOSTILE_DIR "/bundle", O_RDONLY | O_CLOEXEC), memfd;
	struct stat now;
	ssize_t len;

	if (file < 0 || fstat(file, &now) < 0)
		exit(EX_NOINPUT);
	len = now.st_ino == sent.st_ino ? -1 : read(file, bytes, sizeof(bytes));
	close(file);
	if (len < 0)
		return;
	sent = now;
	candidate.parts[0].len_bytes = (uint32_t)len;
	memfd = memfd_seal("bundle", bytes, (size_t)len);
	if (memfd < 0 ||
	    chan_send(PROTO_CHILD_FD, frame,
		      packed(MSG_CANDIDATE, &candidate, frame, sizeof(frame)), &memfd, 1, 1000) < 0)
		exit(EX_IOERR);
	close(memfd);
}

/* It does all that a poller must, and ends when it is told to; but the truth. */
static void act_bundles(void)
{
	const uint8_t health[] = {0x92, MSG_HEALTH, 0};

	while (chan_send(PROTO_CHILD_FD, health, sizeof(health), NULL, 0, 1000) == 0) {
		send_bundle();
		usleep(100000);
	}
	exit(EX_OK);
}

static void play(const struct attack *attack)
{
	static uint8_t frame[FRAME_MOST];
	size_t len = attack->len;

	if (!attack->silent)
		send_frame(frame, build_hello(frame, sizeof(frame)), 0);
	if (attack->ready)
		send_frame((const uint8_t[]){0x92, MSG_READY, 0}, 3, 0);
	if (attack->act)
		attack->act();
	memset(frame, 0, sizeof(frame));
	memcpy(frame, attack->head, sizeof(attack->head));
	if (attack->build)
		len = attack->build(frame, sizeof(frame));
	do {
		if (len || !attack->silent)
			send_frame(frame, len, attack->fds);
	} while (attack->again);
	/* It stays, so that it is the supervisor who ends it. */
	for (;;)
		pause();
}

static void become_real(const char *program)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bin/%s.real", HOSTILE_DIR, program);
	execl(path, program, (char *)NULL);
	fprintf(stderr, "hostile child: execute %s: %s\n", path, strerror(errno));
	exit(EX_UNAVAILABLE);
}

int main(int argc, char **argv)
{
	char name[64];
	unsigned long count;

	if (argc != 1)
		return EX_USAGE;
	own_role = role_of(argv[0]);
	count = read_number("count");
	if (count >= read_number("times"))
		become_real(argv[0]);
	count_up(count + 1);
	if (!read_word("attack", name, sizeof(name)))
		return EX_NOINPUT;
	alarm(LIFETIME_S);
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(attacks[i].name, name) == 0)
			play(&attacks[i]);
	fprintf(stderr, "hostile child: no attack '%s'\n", name);
	return EX_USAGE;
}
