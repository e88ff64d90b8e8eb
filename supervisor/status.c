/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/control.h"
#include "supervisor/custody.h"
#include "supervisor/remote.h"
#include "supervisor/verdict.h"

static int send_supervisor(const struct supervisor *sup, int fd)
{
	struct msg_process process = {.role = ROLE_SUPERVISOR,
				      .pid = (uint32_t)getpid(),
				      .state = sup->stopping ? LIFE_STOPPING : LIFE_RUNNING,
				      .started_ns = sup->started_ns};

	memcpy(process.last, sup->upgrade.last, sizeof(process.last));
	return control_answer(fd, MSG_PROCESS, &process);
}

static int send_child(const struct proc *proc, int fd)
{
	struct msg_process process = {.role = proc->role,
				      .pid = (uint32_t)proc->pid,
				      .state = proc->life.state,
				      .restarts = proc->life.restarts,
				      .replaced = proc->life.replaced,
				      .started_ns = proc->started_ns,
				      .stats = proc->stats};

	memcpy(process.last, proc->last, sizeof(process.last));
	memcpy(process.words, proc->words, sizeof(process.words));
	return control_answer(fd, MSG_PROCESS, &process);
}

/* Wanted, and not at work. */
static bool is_missing(const struct proc *proc)
{
	return proc->role != ROLE_VERIFIER && proc->life.wanted && proc->life.state != LIFE_RUNNING;
}

static bool is_degraded(const struct msg_tracer *tracer)
{
	for (uint32_t i = 0; i < tracer->probe_count; i++)
		if (tracer->probes[i].state == PROBE_MISSING ||
		    tracer->probes[i].state == PROBE_FAILED)
			return true;
	return false;
}

/* What was asked for besides tracing, and is not to be had. */
static bool lacks_nat(const struct supervisor *sup)
{
	return sup->configure.current.config.nat && sup->nat.state == NAT_NONE;
}

static int send_trouble(const struct supervisor *sup, int fd)
{
	static struct msg_trouble trouble;

	memset(&trouble, 0, sizeof(trouble));
	for (uint32_t i = 0; i < TRACER_COUNT * OUTCOME_COUNT; i++) {
		uint32_t tracer = i / OUTCOME_COUNT, outcome = i % OUTCOME_COUNT;
		uint64_t count = sup->outcomes[tracer][outcome];

		if (count && trouble.outcome_count < MSG_OUTCOMES_MAX)
			trouble.outcomes[trouble.outcome_count++] = (struct msg_outcome_count){
				.tracer = tracer, .outcome = outcome, .count = count};
	}
	trouble.refusal_count = custody_refusals(&sup->custody, trouble.refusals);
	return control_answer(fd, MSG_TROUBLE, &trouble);
}

static int send_summary(const struct supervisor *sup, int fd)
{
	static struct msg_summary summary;

	memset(&summary, 0, sizeof(summary));
	summary.tracing = sup->up && custody_holds(&sup->custody);
	for (int role = 0; role < ROLE_COUNT; role++)
		summary.degraded |= is_missing(&sup->procs[role]) ? 1u : 0u;
	if (is_degraded(&sup->tracer) || lacks_nat(sup) || remote_is_degraded(sup))
		summary.degraded = 1;
	summary.started_ns = sup->started_ns;
	summary.config_version = sup->configure.current.version;
	summary.config_verdict = verdict_last(sup)->verdict;
	memcpy(summary.config_reason, verdict_last(sup)->reason, sizeof(summary.config_reason));
	summary.config = sup->configure.current.config;
	/* The ledger first: what it has delivered must be in the counters that are read after it.
	 */
	custody_ledger(&sup->custody, summary.ledger);
	custody_counters(&sup->custody, summary.counters);
	summary.hits_known = custody_filters(&sup->custody, summary.config_version, summary.hits,
					     summary.cgroups);
	return control_answer(fd, MSG_SUMMARY, &summary);
}

static void send_starting(int fd)
{
	(void)control_answer(
		fd, MSG_DONE,
		&(struct msg_done){.ok = 0, .reason = "starting: no configuration yet"});
}

const struct msg_source *status_source(const struct supervisor *sup)
{
	static struct msg_source source;

	source = sup->verdicts.source;
	remote_status(sup, &source);
	source.probation_left_ms = probation_left_ms(&sup->rollout.probation, loop_now_ms());
	return &source;
}

void status_send_config(const struct supervisor *sup, int fd)
{
	static struct msg_in_force in_force;

	in_force.version = sup->configure.current.version;
	in_force.config = sup->configure.current.config;
	in_force.origins = sup->configure.origins;
	if (in_force.version)
		(void)control_answer(fd, MSG_IN_FORCE, &in_force);
	else
		send_starting(fd);
}

void status_send(struct supervisor *sup, int fd)
{
	static const enum role order[] = {ROLE_LOADER, ROLE_EXPORTER, ROLE_POLLER, ROLE_VERIFIER};
	int err = send_supervisor(sup, fd);

	/* There is no configuration to show before the first check. */
	if (!sup->configure.current.version) {
		send_starting(fd);
		return;
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && !err; i++)
		err = send_child(&sup->procs[order[i]], fd);
	for (uint32_t i = 0; i < sup->ladder_count && !err; i++)
		err = control_answer(fd, MSG_LADDER, &sup->ladder[i]);
	if (!err && sup->tracer.probe_count)
		err = control_answer(fd, MSG_PROBES, &sup->tracer);
	if (!err)
		err = send_trouble(sup, fd);
	if (!err && config_polls(&sup->configure.current.config))
		err = control_answer(fd, MSG_SOURCE, status_source(sup));
	if (!err)
		(void)send_summary(sup, fd);
}
