/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/ladder.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/loop.h"
#include "loader/steps.h"

void steps_say(struct report *report, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->detail, sizeof(report->detail), format, args);
	va_end(args);
}

bool steps_tenants_only(const struct ladder *ladder)
{
	return plan_is_fargate(ladder->instance.type);
}

static const char *tracer_name(enum config_tracer tracer)
{
	return tracer == TRACER_AUTO ? "-" : tracer_type(tracer)->name;
}

static int tell_outcome(struct ladder *ladder, enum config_tracer tracer, enum outcome outcome)
{
	struct msg_outcome msg = {.tracer = tracer, .outcome = outcome};

	return child_send(ladder->child, MSG_OUTCOME, &msg, NULL, 0);
}

/* A step that failed or is not supported ends the attempt; only a failure ends the climb. */
static enum step_result climb(struct ladder *ladder, enum config_tracer tracer,
			      const struct step *step)
{
	struct report report = {.outcome = step->outcome};
	struct msg_step msg = {0};
	uint64_t begin_ns = loop_now_ns();
	int err;

	snprintf(msg.tracer, sizeof(msg.tracer), "%s", tracer_name(tracer));
	msg.result = step->run(ladder, &report);
	msg.duration_us = (loop_now_ns() - begin_ns) / 1000;
	snprintf(msg.name, sizeof(msg.name), "%s", step->name);
	snprintf(msg.detail, sizeof(msg.detail), "%s", report.detail);
	err = child_send(ladder->child, MSG_STEP, &msg, NULL, 0);
	if (!err && (msg.result == STEP_FAILED || msg.result == STEP_NOT_SUPPORTED))
		err = tell_outcome(ladder, tracer, report.outcome);
	if (msg.result == STEP_FAILED)
		child_fail(ladder->child, step->permanent, step->exit_code, "%s: %s: %s",
			   msg.tracer, step->name, report.detail);
	else if (err)
		child_fail(ladder->child, 0, EX_PROTOCOL, "report step %s: %s", step->name,
			   strerror(-err));
	return err ? STEP_FAILED : (enum step_result)msg.result;
}

static enum step_result climb_all(struct ladder *ladder, enum config_tracer tracer,
				  const struct step *step)
{
	enum step_result result = STEP_OK;

	for (; step->name && result != STEP_FAILED && result != STEP_NOT_SUPPORTED; step++)
		result = climb(ladder, tracer, step);
	return result;
}

static enum outcome success(const struct ladder *ladder)
{
	static const enum outcome by_source[] = {
		[BTF_NAMED] = OUTCOME_ok_named_btf,
		[BTF_KERNEL] = OUTCOME_ok_kernel_btf,
		[BTF_ARCHIVE] = OUTCOME_ok_archive_btf,
	};

	return ladder->adopted ? OUTCOME_adopted : by_source[ladder->btf.source];
}

/* The reasons of those that were tried, for the one line that the supervisor's log ends with. */
static void not_supported(struct ladder *ladder, const struct plan_order *order, const char *whys)
{
	if (order->count == 1)
		child_fail(ladder->child, 1, EX_UNAVAILABLE, "%s", whys);
	else
		child_fail(ladder->child, 1, EX_UNAVAILABLE,
			   "no tracer can run here (conntrace doctor says more): %s", whys);
}

/* The first tracer of the order that comes up; TRACER_AUTO if none does. */
static enum config_tracer bring_up(struct ladder *ladder)
{
	struct plan_order order;
	char whys[2 * MSG_TEXT_MAX] = "";
	size_t at = 0;

	plan_order(&order, ladder->config->config.tracer, ladder->instance.type);
	for (uint32_t i = 0; i < order.count; i++) {
		enum config_tracer tracer = order.tracers[i];
		enum step_result result;

		ladder->plan.tracer = tracer;
		result = climb_all(ladder, tracer, steps_tracer);
		object_close(&ladder->object);
		if (result == STEP_FAILED)
			return TRACER_AUTO;
		if (result != STEP_NOT_SUPPORTED)
			return tracer;
		if (at < sizeof(whys))
			at += (size_t)snprintf(whys + at, sizeof(whys) - at, "%s%s: plan: %.140s",
					       at ? "; " : "", tracer_name(tracer),
					       ladder->plan.why);
	}
	not_supported(ladder, &order, whys);
	return TRACER_AUTO;
}

static bool finish(struct ladder *ladder, enum config_tracer tracer)
{
	struct msg_tracer report;
	int err = tell_outcome(ladder, tracer, success(ladder));

	if (!err) {
		ladder_report(ladder, &report);
		err = child_send(ladder->child, MSG_TRACER, &report, NULL, 0);
	}
	if (err) {
		child_fail(ladder->child, 0, EX_PROTOCOL, "report the tracer: %s", strerror(-err));
		return false;
	}
	return climb_all(ladder, tracer, steps_last) != STEP_FAILED;
}

int ladder_climb(struct ladder *ladder)
{
	enum config_tracer tracer = TRACER_AUTO;
	bool up = false;

	tracer_init(&ladder->old);
	tracer_init(&ladder->tracer);
	ladder->btf.fd = -1;
	if (climb_all(ladder, TRACER_AUTO, steps_first) != STEP_FAILED)
		tracer = bring_up(ladder);
	/* What libbpf took goes back to the system before the walk begins. */
	btf_drop(&ladder->btf);
	tracer_close(&ladder->old);
	tracer_disinherit(&ladder->inherited);
	(void)malloc_trim(0);
	if (tracer != TRACER_AUTO)
		up = finish(ladder, tracer);
	return up ? 0 : -ECANCELED;
}

uint64_t ladder_privileged_us(const struct ladder *ladder)
{
	uint64_t until_ns = ladder->dropped_ns ? ladder->dropped_ns : loop_now_ns();

	return ladder->raised_ns ? (until_ns - ladder->raised_ns) / 1000 : 0;
}

void ladder_report(const struct ladder *ladder, struct msg_tracer *report)
{
	manager_report(&ladder->manager, &ladder->tracer, report);
	report->instance = ladder->instance.type;
	snprintf(report->evidence, sizeof(report->evidence), "%s", ladder->instance.evidence);
	report->tenants_only = steps_tenants_only(ladder);
	snprintf(report->btf, sizeof(report->btf), "%s", btf_source_name(ladder->btf.source));
}
