/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a supervisor takes over from the one before, and what it does not. The fds are memfds, of
 * which the kernel says, where the test wants it, that they are BPF's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memfd.h"
#include "supervisor/custody.h"
#include "supervisor/keep.h"

#define FDS      8u
#define FD_BYTES (16 << 20) /* enough for any map */

static struct supervisor sup;
static struct inherited inherited;
static int heard;   /* the other end of NOTIFY_SOCKET */
static bool of_bpf; /* what the kernel says of every fd */

ssize_t __real_readlink(const char *path, char *target, size_t cap);
ssize_t __wrap_readlink(const char *path, char *target, size_t cap);
ssize_t __wrap_readlink(const char *path, char *target, size_t cap)
{
	static const char kind[] = "anon_inode:bpf-map";

	if (!of_bpf || cap < sizeof(kind))
		return __real_readlink(path, target, cap);
	memcpy(target, kind, sizeof(kind) - 1);
	return sizeof(kind) - 1;
}

static void add(const char *name, int fd)
{
	struct inherited_fd *to = &inherited.fds[inherited.count++];

	assert_true(fd >= 0);
	to->fd = fd;
	snprintf(to->name, sizeof(to->name), "%s", name);
}

/* All that custody asks for by kind. */
static struct msg_custody complete(uint32_t generation)
{
	static const uint32_t kinds[FDS] = {FD_RING,      FD_COUNTERS, FD_LEDGER, FD_SETTINGS,
					    FD_TELEMETRY, FD_HITS,     FD_LINK,   FD_PROGRAM};
	struct msg_custody msg = {.ring_bytes = 1u << 20,
				  .manifest = {.identity = 7, .generation = generation}};

	msg.manifest.fd_count = FDS;
	for (uint32_t i = 0; i < FDS; i++)
		msg.manifest.fds[i].kind = kinds[i];
	return msg;
}

static void add_fds(uint32_t generation, uint32_t count)
{
	char name[INHERIT_NAME_MAX];

	for (uint32_t i = 0; i < count; i++) {
		int fd = memfd_create("test", MFD_CLOEXEC);

		keep_name(name, generation, i);
		assert_int_equal(ftruncate(fd, FD_BYTES), 0);
		add(name, fd);
	}
}

static void add_manifest(uint32_t generation, int fd)
{
	char name[INHERIT_NAME_MAX];

	keep_manifest_name(name, generation);
	add(name, fd);
}

static int sealed(const struct msg_custody *msg)
{
	uint8_t frame[4096];
	int len = msg_pack(MSG_CUSTODY, msg, frame, sizeof(frame));

	assert_true(len > 0);
	return memfd_seal("test", frame, (size_t)len);
}

/* How often a FDSTOREREMOVE was said for a name that begins so. */
static int removed(const char *prefix)
{
	char want[128], state[512];
	int count = 0;
	ssize_t len;

	snprintf(want, sizeof(want), "FDSTOREREMOVE=1\nFDNAME=%s", prefix);
	while ((len = recv(heard, state, sizeof(state) - 1, MSG_DONTWAIT)) > 0) {
		state[len] = '\0';
		count += strncmp(state, want, strlen(want)) == 0;
	}
	return count;
}

/* Nothing is taken, nothing stays open, nothing stays in the store. */
static void refused(void)
{
	uint32_t count = inherited.count;
	int fds[INHERIT_MAX];

	for (uint32_t i = 0; i < count; i++)
		fds[i] = inherited.fds[i].fd;
	keep_restore(&sup, &inherited);
	assert_false(custody_holds(&sup.custody));
	assert_int_equal(sup.stored.generation, 0);
	assert_int_equal(removed(""), count);
	inherit_close(&inherited);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
}

static int begin(void **state)
{
	int pair[2];

	(void)state;
	memset(&sup, 0, sizeof(sup));
	memset(&inherited, 0, sizeof(inherited));
	custody_init(&sup.custody);
	of_bpf = true;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return -1;
	sup.notify.fd = pair[0]; /* connected, so addr_len 0 will do */
	heard = pair[1];
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(sup.notify.fd);
	close(heard);
	return 0;
}

static void test_keep_refuses_fds_that_are_not_of_bpf(void **state)
{
	const struct msg_custody msg = complete(1);

	(void)state;
	of_bpf = false;
	add_fds(1, FDS);
	add_manifest(1, sealed(&msg));
	refused();
}

static void test_keep_takes_what_is_whole(void **state)
{
	const struct msg_custody msg = complete(5);

	(void)state;
	add_fds(5, FDS);
	add_manifest(5, sealed(&msg));
	keep_restore(&sup, &inherited);
	assert_true(custody_holds(&sup.custody));
	assert_int_equal(sup.stored.generation, 5);
	assert_int_equal(sup.stored.fd_count, FDS);
	assert_int_equal(sup.ring_bytes, 1u << 20);
	assert_int_equal(removed(""), 0);
	inherit_close(&inherited);
	custody_release(&sup.custody);
}

static void test_keep_refuses_a_tracer_that_lacks_something(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < FDS - 1; i++) {
		struct msg_custody msg = complete(1);

		msg.manifest.fds[i].kind = FD_PROGRAM;
		add_fds(1, FDS);
		add_manifest(1, sealed(&msg));
		refused();
	}
}

static void test_keep_refuses_a_manifest_that_is_not_one(void **state)
{
	static const char noise[] = "\x93\x1b\xce\xff\xff";
	const struct msg_custody msg = complete(1);
	int open_memfd = memfd_create("test", MFD_CLOEXEC);
	const int bad[] = {
		memfd_seal("test", noise, sizeof(noise)),
		memfd_seal("test", "", 0),
		memfd_seal("test", &msg, sizeof(msg)),
		open("/dev/zero", O_RDONLY | O_CLOEXEC),
		open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		open_memfd,
	};

	(void)state;
	assert_int_equal(write(open_memfd, noise, sizeof(noise)), sizeof(noise));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		add_fds(1, FDS);
		add_manifest(1, bad[i]);
		refused();
	}
}

static void test_keep_refuses_a_manifest_beside_other_fds(void **state)
{
	struct msg_custody msg = complete(1);

	(void)state;
	/* Of another tracer than its name says. */
	add_fds(2, FDS);
	add_manifest(2, sealed(&msg));
	refused();
	/* One fd missing, at the end and in the middle; one too many; none at all. */
	add_fds(1, FDS - 1);
	add_manifest(1, sealed(&msg));
	refused();
	add_fds(1, FDS);
	snprintf(inherited.fds[3].name, sizeof(inherited.fds[3].name), "tracer-1-3");
	add_manifest(1, sealed(&msg));
	refused();
	add_fds(1, FDS + 1);
	add_manifest(1, sealed(&msg));
	refused();
	add_manifest(1, sealed(&msg));
	refused();
	msg.manifest.fd_count = 0;
	add_manifest(1, sealed(&msg));
	refused();
}

static void test_keep_refuses_what_has_no_manifest_or_a_foreign_name(void **state)
{
	static const char *const names[] = {
		"",
		"stored",
		"tracer-0-manifest",
		"tracer-01-manifest",
		"tracer-x-00",
		"tracer--1-manifest",
		"tracer-4294967296-manifest",
		"manifest",
	};
	const struct msg_custody msg = complete(1);

	(void)state;
	add_fds(1, FDS);
	refused();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(names[i], sealed(&msg));
	refused();
}

static void test_keep_looks_at_each_tracer_and_ends(void **state)
{
	(void)state;
	of_bpf = false;
	for (uint32_t generation = 1; generation <= 10; generation++) {
		const struct msg_custody msg = complete(generation);

		add_fds(generation, FDS);
		add_manifest(generation, sealed(&msg));
	}
	refused();
}

static void test_keep_writes_a_manifest_that_it_reads(void **state)
{
	struct custody custody = {.manifest = complete(3).manifest};
	int fd = keep_manifest(&custody, 1u << 20);
	char *bytes;
	union msg msg;
	off_t len = lseek(fd, 0, SEEK_END);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(memfd_read(fd, (size_t)len, &bytes), 0);
	assert_int_equal(msg_unpack(MSG_CUSTODY, (uint8_t *)bytes, (size_t)len, &msg), 0);
	assert_int_equal(msg.custody.ring_bytes, 1u << 20);
	assert_memory_equal(&msg.custody.manifest, &custody.manifest, sizeof(custody.manifest));
	free(bytes);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keep_refuses_fds_that_are_not_of_bpf, begin,
						end),
		cmocka_unit_test_setup_teardown(test_keep_takes_what_is_whole, begin, end),
		cmocka_unit_test_setup_teardown(test_keep_refuses_a_tracer_that_lacks_something,
						begin, end),
		cmocka_unit_test_setup_teardown(test_keep_refuses_a_manifest_that_is_not_one, begin,
						end),
		cmocka_unit_test_setup_teardown(test_keep_refuses_a_manifest_beside_other_fds,
						begin, end),
		cmocka_unit_test_setup_teardown(
			test_keep_refuses_what_has_no_manifest_or_a_foreign_name, begin, end),
		cmocka_unit_test_setup_teardown(test_keep_looks_at_each_tracer_and_ends, begin,
						end),
		cmocka_unit_test(test_keep_writes_a_manifest_that_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
