/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The part of the kernel the programs look at: only the fields that are read. CO-RE gives each
 * field the offset it has in the running kernel, so order and size here mean nothing. No header of
 * the build machine's kernel is used; the numbers of the BPF interface below are its stable ABI.
 */
#ifndef CONNTRACE_KERNEL_H
#define CONNTRACE_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* bpf_tracing.h: the registers' names are the kernel's, as struct pt_regs has them below. */
#define __VMLINUX_H__

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h */
#define BPF_MAP_TYPE_HASH         1
#define BPF_MAP_TYPE_ARRAY        2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH     9
#define BPF_MAP_TYPE_SK_STORAGE   24
#define BPF_MAP_TYPE_RINGBUF      27

#define BPF_F_NO_PREALLOC (1u << 0)
#define BPF_F_CLONE       (1u << 9)
#define BPF_F_MMAPABLE    (1u << 10)

#define BPF_ANY     0ull
#define BPF_NOEXIST 1ull

#define BPF_SK_STORAGE_GET_F_CREATE 1ull

/* Which helpers the running kernel has is asked with bpf_core_enum_value_exists(). */
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158 };

struct bpf_pidns_info {
	__u32 pid;
	__u32 tgid;
};

#define BPF_RB_NO_WAKEUP    1ull
#define BPF_RB_FORCE_WAKEUP 2ull
#define BPF_RB_AVAIL_DATA   0ull
#define BPF_RB_PROD_POS     3ull

#define EEXIST 17 /* include/uapi/asm-generic/errno-base.h */

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define AF_INET     2
#define AF_INET6    10

#define ETH_P_IP 0x0800 /* include/uapi/linux/if_ether.h */

#define PF_KTHREAD 0x00200000u /* include/linux/sched.h */

#define TCP_ECN_OK 1u /* include/net/tcp.h */

/* include/net/sock.h; the value of the running kernel is asked for with bpf_core_enum_value() */
enum sock_flags { SOCK_DONE = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	int counter;
} atomic_t;

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
	unsigned long skc_flags;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

/* Until 5.14: the same pointer in an integer whose lowest bit says that it is none. */
struct sock_cgroup_data___tagged {
	__u64 val;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
	atomic_t sk_drops;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	__be16 inet_sport;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct minmax_sample {
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_sent;
	__u64 bytes_retrans;
	__u32 segs_in;
	__u32 segs_out;
	__u32 srtt_us;
	__u32 mdev_us;
	__u32 total_retrans;
	__u32 lost;
	__u32 reord_seen;
	__u32 delivered_ce;
	__u8 ecn_flags;
	struct minmax rtt_min;
};

typedef struct {
	atomic_t refs;
} refcount_t;

struct sk_buff {
	struct sock *sk;
	unsigned int len;
	__be16 protocol;
	__u16 transport_header;
	__u16 network_header;
	unsigned int end;
	unsigned char *head;
	unsigned char *data;
	refcount_t users;
};

struct skb_shared_info {
	unsigned short gso_size;
};

union flowi_uli {
	struct {
		__be16 dport;
		__be16 sport;
	} ports;
};

struct flowi4 {
	__be32 saddr;
	__be32 daddr;
	union flowi_uli uli;
};

struct flowi6 {
	struct in6_addr daddr;
	struct in6_addr saddr;
	union flowi_uli uli;
};

struct inet_cork {
	__u16 gso_size;
};

struct file;

struct socket {
	struct sock *sk;
};

typedef struct {
	__u32 val;
} kuid_t;

struct cred {
	kuid_t uid;
};

struct pid_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct pid_namespace *pid_ns_for_children;
};

struct task_struct {
	unsigned int flags;
	int tgid;
	struct task_struct *group_leader;
	__u64 start_boottime;
	const struct cred *cred;
	struct nsproxy *nsproxy;
	char comm[16];
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};
#endif

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
};

struct bpf_map;

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
};

#pragma clang attribute pop

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#endif
