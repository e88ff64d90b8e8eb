/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to bring up a tracer: the options it is made with, computed once and not changed any
 * more, and what became of each of its programs.
 */
#ifndef LOADER_MANAGER_H
#define LOADER_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/config.h"
#include "common/msg.h"
#include "loader/plan.h"
#include "loader/reuse.h"
#include "loader/tracer.h"

/* Facts of this host that go into the programs as constants. */
struct manager_host {
	uint64_t pidns_dev; /* of the loader's pid namespace, as in struct constants; 0 = no filter
			     */
	uint64_t pidns_ino;
	uint16_t ephemeral_low; /* 0 = not known */
	uint16_t ephemeral_high;
	uint32_t udp_timeout_s; /* conntrack's, or its defaults where there is no conntrack */
	uint32_t udp_stream_timeout_s;
};

/* Read them; tenants_only: the pid namespace, too. Returns 0 or a negative errno. */
int manager_host_read(struct manager_host *host, bool tenants_only);

struct manager_options {
	const struct tracer_type *type;
	struct plan plan;
	uint32_t ring_bytes;    /* a power of two, multiple of the page size */
	uint32_t table_entries; /* 1 where sockets have storage */
	uint32_t flow_entries;  /* 1 where UDP is not traced */
	uint32_t attach_tries;  /* for errors that pass */
	uint32_t attach_wait_ms;
	struct constants constants;
};

/* Pure. */
struct manager_options manager_options_make(const struct plan *plan, const struct config *config,
					    const struct features *features,
					    const struct manager_host *host);

/* What became of a program. */
struct probe_status {
	enum probe_state state;  /* msg.h */
	int err;                 /* errno of PROBE_FAILED */
	uint32_t verified_insns; /* instructions that the verifier went through; 0 = not known */
};

struct manager {
	struct manager_options options;
	enum reuse reuse; /* what it has of the tracer before */
	struct probe_status probes[TRACER_PROBES_MAX];
};

/* A fresh attempt: each program planned or off. */
void manager_init(struct manager *manager, const struct manager_options *options);

/* The tracer and the state of each program; tracer: to ask the kernel for missed runs. */
void manager_report(const struct manager *manager, const struct tracer *tracer,
		    struct msg_tracer *report);

#endif
