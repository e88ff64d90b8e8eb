/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tracer, and which of its programs: a pure function of what the kernel offers, what the
 * configuration asks for, and on what kind of instance this is.
 */
#ifndef LOADER_PLAN_H
#define LOADER_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "loader/features.h"
#include "loader/tracer.h"

#define PLAN_WHY_MAX 256u

/* The tracers to try, in order. */
struct plan_order {
	enum config_tracer tracers[TRACER_COUNT];
	uint32_t count;
};

/* The one that was asked for by name, else those that suit the instance, best first. */
void plan_order(struct plan_order *order, enum config_tracer wanted, enum config_instance instance);

enum plan_result {
	PLAN_OK,
	PLAN_DEGRADED,      /* it will do, without what is named in why */
	PLAN_NOT_SUPPORTED, /* this kernel or instance does not have what the tracer is made of */
	PLAN_HOOK_MISSING,  /* it has, but not the function or tracepoint of a required program */
};

/* How kprobes are attached. */
enum plan_kprobe {
	KPROBE_MULTI, /* a BPF link with the symbol's name, 5.18 with CONFIG_FPROBE */
	KPROBE_LINK,  /* perf event in a BPF link, 5.15 */
	KPROBE_PERF,  /* perf event alone */
};

struct plan {
	enum config_tracer tracer;
	enum probe_store store;
	enum plan_kprobe kprobe;
	/* Of the tracer's probes: PROBE_PLANNED, PROBE_OFF or PROBE_MISSING. */
	enum probe_state probes[TRACER_PROBES_MAX];
	const char *off_why[TRACER_PROBES_MAX]; /* constants; NULL for those that are planned */
	char why[PLAN_WHY_MAX];                 /* for all results but PLAN_OK */
};

bool plan_has(const struct plan *plan, uint32_t probe);

/* Whether any program of that part is planned. */
bool plan_has_part(const struct plan *plan, enum probe_part part);

/*
 * by_name: asked for in the configuration, so whatever the instance. No side effect.
 */
enum plan_result plan_make(struct plan *plan, enum config_tracer tracer, bool by_name,
			   enum config_instance instance, const struct features *features);

/* "fargate": kprobes can't be had there, and other tenants' processes are none of our business. */
bool plan_is_fargate(enum config_instance instance);

#endif
