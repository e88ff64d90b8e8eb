/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a Linux 6.18 without kprobes offers, whose security policy refuses BPF trampolines: as
 * build/test/features printed it there, run by root.
 */
#ifndef TESTS_UNIT_FEATURES_HARDENED_H
#define TESTS_UNIT_FEATURES_HARDENED_H

#include "loader/features.h"

static const struct features features_hardened = {
	.of =
		{
			[FEATURE_kernel_btf] = 1,
			[FEATURE_kallsyms] = 0,
			[FEATURE_lockdown] = -1,
			[FEATURE_perf_event_paranoid] = 2,
			[FEATURE_unprivileged_bpf_disabled] = 2,
			[FEATURE_kprobe_pmu] = 0,
			[FEATURE_kprobe_multi] = 0,
			[FEATURE_perf_link] = 1,
			[FEATURE_socket_storage] = 1,
			[FEATURE_socket_cookie] = 1,
			[FEATURE_iter_storage] = 1,
			[FEATURE_iter_map] = 1,
			[FEATURE_sock_from_file] = 1,
			[FEATURE_fn_tcp_set_state] = 1,
			[FEATURE_fn_inet_csk_listen_start] = 1,
			[FEATURE_fn_security_sock_graft] = 1,
			[FEATURE_fn_tcp_child_process] = 1,
			[FEATURE_fn_inet_csk_destroy_sock] = 1,
			[FEATURE_fn_tcp_v4_connect] = 1,
			[FEATURE_fn_tcp_v6_connect] = 1,
			[FEATURE_fn_udp_send_skb] = 1,
			[FEATURE_fn_udp_v6_send_skb] = 1,
			[FEATURE_fn_skb_consume_udp] = 1,
			[FEATURE_fn_udp_destroy_sock] = 1,
			[FEATURE_fn_udpv6_destroy_sock] = 1,
			[FEATURE_tp_inet_sock_set_state] = 1,
			[FEATURE_tp_tcp_destroy_sock] = 1,
			[FEATURE_try_ring] = 0,
			[FEATURE_try_tracepoint] = 0,
			[FEATURE_try_fentry] = 1,
			[FEATURE_try_kprobe] = 0,
			[FEATURE_try_read] = 0,
			[FEATURE_try_perf] = 0,
		},
};

#endif
