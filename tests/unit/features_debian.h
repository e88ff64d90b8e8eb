/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Debian's kernels offer, as features_probe() found it with the loader's identity and
 * capabilities in the guests of tests/matrix. Written by `make features`.
 *
 * Of the kernels, a column each:
 *   5.10.0-32-cloud-amd64
 *   6.1.0-50-cloud-amd64
 *   6.12.117+deb13-cloud-amd64
 *   7.2.13+deb14-cloud-amd64
 */
#ifndef TESTS_UNIT_FEATURES_DEBIAN_H
#define TESTS_UNIT_FEATURES_DEBIAN_H

#include "loader/features.h"

enum debian_line { LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_NEWEST, DEBIAN_LINES };

enum circumstance {
	AS_BOOTED,   /* kernel.perf_event_paranoid is 3 */
	PARANOID_2,  /* 2, as elsewhere and in the following */
	LOCKED_DOWN, /* lockdown=confidentiality */
	WITHOUT_BTF, /* the kernel's BTF not looked at, as if there were none */
	CIRCUMSTANCES,
};

_Static_assert(FEATURE_COUNT == 33, "other features than were recorded: make features");

/* clang-format off */
static const int32_t features_debian[CIRCUMSTANCES][FEATURE_COUNT][DEBIAN_LINES] = {
	[AS_BOOTED] = {
		[FEATURE_kernel_btf]                = {  1,   1,   1,   1},
		[FEATURE_kallsyms]                  = {  0,   0,   0,   0},
		[FEATURE_lockdown]                  = {  0,   0,   0,   0},
		[FEATURE_perf_event_paranoid]       = {  3,   3,   3,   3},
		[FEATURE_unprivileged_bpf_disabled] = {  2,   2,   2,   2},
		[FEATURE_kprobe_pmu]                = {  1,   1,   1,   1},
		[FEATURE_kprobe_multi]              = {  0,   0,   1,   1},
		[FEATURE_perf_link]                 = {  0,   1,   1,   1},
		[FEATURE_socket_storage]            = {  0,   1,   1,   1},
		[FEATURE_socket_cookie]             = {  0,   1,   1,   1},
		[FEATURE_iter_storage]              = {  1,   1,   1,   1},
		[FEATURE_iter_map]                  = {  1,   1,   1,   1},
		[FEATURE_sock_from_file]            = {  0,   1,   1,   1},
		[FEATURE_fn_tcp_set_state]          = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_listen_start]  = {  1,   1,   1,   1},
		[FEATURE_fn_security_sock_graft]    = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_child_process]      = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_destroy_sock]  = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v4_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v6_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_udp_send_skb]           = {  1,   1,   1,   1},
		[FEATURE_fn_udp_v6_send_skb]        = {  1,   1,   1,   1},
		[FEATURE_fn_skb_consume_udp]        = {  1,   1,   1,   1},
		[FEATURE_fn_udp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_fn_udpv6_destroy_sock]     = {  1,   1,   1,   1},
		[FEATURE_tp_inet_sock_set_state]    = {  1,   1,   1,   1},
		[FEATURE_tp_tcp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_try_ring]                  = {  0,   0,   0,   0},
		[FEATURE_try_tracepoint]            = {  0,   0,   0,   0},
		[FEATURE_try_fentry]                = {  0,   0,   0,   0},
		[FEATURE_try_kprobe]                = {  0,   0,   0,   0},
		[FEATURE_try_read]                  = {  0,   0,   0,   0},
		[FEATURE_try_perf]                  = { 13,  13,  13,  13},
	},
	[PARANOID_2] = {
		[FEATURE_kernel_btf]                = {  1,   1,   1,   1},
		[FEATURE_kallsyms]                  = {  0,   0,   0,   0},
		[FEATURE_lockdown]                  = {  0,   0,   0,   0},
		[FEATURE_perf_event_paranoid]       = {  2,   2,   2,   2},
		[FEATURE_unprivileged_bpf_disabled] = {  2,   2,   2,   2},
		[FEATURE_kprobe_pmu]                = {  1,   1,   1,   1},
		[FEATURE_kprobe_multi]              = {  0,   0,   1,   1},
		[FEATURE_perf_link]                 = {  0,   1,   1,   1},
		[FEATURE_socket_storage]            = {  0,   1,   1,   1},
		[FEATURE_socket_cookie]             = {  0,   1,   1,   1},
		[FEATURE_iter_storage]              = {  1,   1,   1,   1},
		[FEATURE_iter_map]                  = {  1,   1,   1,   1},
		[FEATURE_sock_from_file]            = {  0,   1,   1,   1},
		[FEATURE_fn_tcp_set_state]          = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_listen_start]  = {  1,   1,   1,   1},
		[FEATURE_fn_security_sock_graft]    = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_child_process]      = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_destroy_sock]  = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v4_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v6_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_udp_send_skb]           = {  1,   1,   1,   1},
		[FEATURE_fn_udp_v6_send_skb]        = {  1,   1,   1,   1},
		[FEATURE_fn_skb_consume_udp]        = {  1,   1,   1,   1},
		[FEATURE_fn_udp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_fn_udpv6_destroy_sock]     = {  1,   1,   1,   1},
		[FEATURE_tp_inet_sock_set_state]    = {  1,   1,   1,   1},
		[FEATURE_tp_tcp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_try_ring]                  = {  0,   0,   0,   0},
		[FEATURE_try_tracepoint]            = {  0,   0,   0,   0},
		[FEATURE_try_fentry]                = {  0,   0,   0,   0},
		[FEATURE_try_kprobe]                = {  0,   0,   0,   0},
		[FEATURE_try_read]                  = {  0,   0,   0,   0},
		[FEATURE_try_perf]                  = {  0,   0,   0,   0},
	},
	[LOCKED_DOWN] = {
		[FEATURE_kernel_btf]                = {  1,   1,   1,   1},
		[FEATURE_kallsyms]                  = {  0,   0,   0,   0},
		[FEATURE_lockdown]                  = {  2,   2,   2,   2},
		[FEATURE_perf_event_paranoid]       = {  2,   2,   2,   2},
		[FEATURE_unprivileged_bpf_disabled] = {  2,   2,   2,   2},
		[FEATURE_kprobe_pmu]                = {  1,   1,   1,   1},
		[FEATURE_kprobe_multi]              = {  0,   0,   1,   1},
		[FEATURE_perf_link]                 = {  0,   1,   1,   1},
		[FEATURE_socket_storage]            = {  0,   1,   1,   1},
		[FEATURE_socket_cookie]             = {  0,   1,   1,   1},
		[FEATURE_iter_storage]              = {  1,   1,   1,   1},
		[FEATURE_iter_map]                  = {  1,   1,   1,   1},
		[FEATURE_sock_from_file]            = {  0,   1,   1,   1},
		[FEATURE_fn_tcp_set_state]          = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_listen_start]  = {  1,   1,   1,   1},
		[FEATURE_fn_security_sock_graft]    = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_child_process]      = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_destroy_sock]  = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v4_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v6_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_udp_send_skb]           = {  1,   1,   1,   1},
		[FEATURE_fn_udp_v6_send_skb]        = {  1,   1,   1,   1},
		[FEATURE_fn_skb_consume_udp]        = {  1,   1,   1,   1},
		[FEATURE_fn_udp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_fn_udpv6_destroy_sock]     = {  1,   1,   1,   1},
		[FEATURE_tp_inet_sock_set_state]    = {  1,   1,   1,   1},
		[FEATURE_tp_tcp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_try_ring]                  = {  0,   0,   0,   0},
		[FEATURE_try_tracepoint]            = {  0,   0,   0,   0},
		[FEATURE_try_fentry]                = {  0,   0,   0,   0},
		[FEATURE_try_kprobe]                = {  0,   0,   0,   0},
		[FEATURE_try_read]                  = { 22,  22,  22,  22},
		[FEATURE_try_perf]                  = {  0,   0,   0,   0},
	},
	[WITHOUT_BTF] = {
		[FEATURE_kernel_btf]                = {  0,   0,   0,   0},
		[FEATURE_kallsyms]                  = {  1,   1,   1,   1},
		[FEATURE_lockdown]                  = {  0,   0,   0,   0},
		[FEATURE_perf_event_paranoid]       = {  2,   2,   2,   2},
		[FEATURE_unprivileged_bpf_disabled] = {  2,   2,   2,   2},
		[FEATURE_kprobe_pmu]                = {  1,   1,   1,   1},
		[FEATURE_kprobe_multi]              = {  0,   0,   1,   1},
		[FEATURE_perf_link]                 = {  0,   1,   1,   1},
		[FEATURE_socket_storage]            = {  0,   1,   1,   1},
		[FEATURE_socket_cookie]             = {  0,   1,   1,   1},
		[FEATURE_iter_storage]              = {  1,   1,   1,   1},
		[FEATURE_iter_map]                  = {  1,   1,   1,   1},
		[FEATURE_sock_from_file]            = {  0,   1,   1,   1},
		[FEATURE_fn_tcp_set_state]          = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_listen_start]  = {  1,   1,   1,   1},
		[FEATURE_fn_security_sock_graft]    = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_child_process]      = {  1,   1,   1,   1},
		[FEATURE_fn_inet_csk_destroy_sock]  = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v4_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_tcp_v6_connect]         = {  1,   1,   1,   1},
		[FEATURE_fn_udp_send_skb]           = {  1,   1,   1,   1},
		[FEATURE_fn_udp_v6_send_skb]        = {  1,   1,   1,   1},
		[FEATURE_fn_skb_consume_udp]        = {  1,   1,   1,   1},
		[FEATURE_fn_udp_destroy_sock]       = {  1,   1,   1,   1},
		[FEATURE_fn_udpv6_destroy_sock]     = {  1,   1,   1,   1},
		[FEATURE_tp_inet_sock_set_state]    = {  0,   0,   0,   0},
		[FEATURE_tp_tcp_destroy_sock]       = {  0,   0,   0,   0},
		[FEATURE_try_ring]                  = {  0,   0,   0,   0},
		[FEATURE_try_tracepoint]            = { -1,  -1,  -1,  -1},
		[FEATURE_try_fentry]                = { -1,  -1,  -1,  -1},
		[FEATURE_try_kprobe]                = {  0,   0,   0,   0},
		[FEATURE_try_read]                  = {  0,   0,   0,   0},
		[FEATURE_try_perf]                  = {  0,   0,   0,   0},
	},
};
/* clang-format on */

#endif
