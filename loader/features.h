/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the running kernel offers, asked of the kernel itself: its BTF, its symbols, its sysctls,
 * and by programs that do nothing, loaded and attached. Never its version number.
 */
#ifndef LOADER_FEATURES_H
#define LOADER_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

struct btf;

/* Asked for something else: no privilege for it, or nothing to ask. */
#define FEATURE_UNKNOWN (-1)

/*
 * X(name, meaning). A presence is 0 or 1; a trial 0 if it succeeded, else the errno with which the
 * kernel refused, or FEATURE_UNKNOWN if it was not made.
 */
/* clang-format off */
#define FEATURES(X) \
	X(kernel_btf, "the kernel's own BTF can be read: programs can be attached by it") \
	X(kallsyms, "/proc/kallsyms can be read (asked only where there is no BTF)") \
	X(lockdown, "0 none, 1 integrity, 2 confidentiality") \
	X(perf_event_paranoid, "kernel.perf_event_paranoid") \
	X(unprivileged_bpf_disabled, "kernel.unprivileged_bpf_disabled") \
	X(kprobe_pmu, "kprobes by perf_event_open(): the kernel has that PMU") \
	X(kprobe_multi, "kprobes by a BPF link with a list of symbols (fprobe)") \
	X(perf_link, "a BPF link can hold a perf event") \
	X(socket_storage, "socket storage from tracing programs") \
	X(socket_cookie, "socket cookie from tracing programs") \
	X(iter_storage, "iterator over socket storage") \
	X(iter_map, "iterator over a map's entries") \
	X(sock_from_file, "a file's socket from tracing programs, with the iterator over files") \
	X(fn_tcp_set_state, "function") \
	X(fn_inet_csk_listen_start, "function") \
	X(fn_security_sock_graft, "function") \
	X(fn_tcp_child_process, "function") \
	X(fn_inet_csk_destroy_sock, "function") \
	X(fn_tcp_v4_connect, "function") \
	X(fn_tcp_v6_connect, "function") \
	X(fn_udp_send_skb, "function") \
	X(fn_udp_v6_send_skb, "function") \
	X(fn_skb_consume_udp, "function") \
	X(fn_udp_destroy_sock, "function") \
	X(fn_udpv6_destroy_sock, "function") \
	X(tp_inet_sock_set_state, "BTF tracepoint") \
	X(tp_tcp_destroy_sock, "BTF tracepoint") \
	X(try_ring, "trial: a ring buffer") \
	X(try_tracepoint, "trial: a program for a BTF tracepoint") \
	X(try_fentry, "trial: a program for fentry") \
	X(try_kprobe, "trial: a program for kprobes") \
	X(try_read, "trial: a program that reads kernel memory by a helper") \
	X(try_perf, "trial: perf_event_open()")
/* clang-format on */

enum feature {
#define X(name, meaning) FEATURE_##name,
	FEATURES(X)
#undef X
		FEATURE_COUNT,
};

struct features {
	int32_t of[FEATURE_COUNT];
};

/*
 * Ask. btf: the running kernel's, NULL = it has none to be read. try: make the trials, which need
 * CAP_BPF and CAP_PERFMON effective. Reads below /proc and /sys. Cannot fail: what can't be had is
 * FEATURE_UNKNOWN or absent.
 */
void features_probe(struct features *features, const struct btf *btf, bool try);

const char *feature_name(enum feature feature);
const char *feature_meaning(enum feature feature);

#endif
