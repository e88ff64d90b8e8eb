/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a status that metrics have a sample for each of, and their numbers. */
#ifndef CLI_METRICS_EACH_H
#define CLI_METRICS_EACH_H

#include "cli/metrics.h"

extern const struct metric_each metrics_single; /* without a label */
extern const struct metric_each metrics_process;
extern const struct metric_each metrics_step_result;
extern const struct metric_each metrics_program;
extern const struct metric_each metrics_attempt;
extern const struct metric_each metrics_refusal;
extern const struct metric_each metrics_tracer;
extern const struct metric_each metrics_table;
extern const struct metric_each metrics_verdict;
extern const struct metric_each metrics_filter;
extern const struct metric_each metrics_filter_event;
extern const struct metric_each metrics_source_kind;
extern const struct metric_each metrics_poll;
extern const struct metric_each metrics_trust;
extern const struct metric_each metrics_role;
extern const struct metric_each metrics_part;

bool metrics_has_source(const struct status *status);
bool metrics_has_nat(const struct status *status);

/* metric.get */
bool metrics_one(const struct status *status, uint32_t i, int64_t *number);
bool metrics_process_up(const struct status *status, uint32_t i, int64_t *number);
bool metrics_process_restarts(const struct status *status, uint32_t i, int64_t *number);
bool metrics_process_replaced(const struct status *status, uint32_t i, int64_t *number);
bool metrics_process_uptime(const struct status *status, uint32_t i, int64_t *number);
bool metrics_process_memory(const struct status *status, uint32_t i, int64_t *number);
bool metrics_uptime(const struct status *status, uint32_t i, int64_t *number);
bool metrics_steps(const struct status *status, uint32_t i, int64_t *number);
bool metrics_program_attached(const struct status *status, uint32_t i, int64_t *number);
bool metrics_attempts(const struct status *status, uint32_t i, int64_t *number);
bool metrics_refusals(const struct status *status, uint32_t i, int64_t *number);
bool metrics_table_most(const struct status *status, uint32_t i, int64_t *number);
bool metrics_hits(const struct status *status, uint32_t i, int64_t *number);
bool metrics_sampled_out(const struct status *status, uint32_t i, int64_t *number);
bool metrics_source_error(const struct status *status, uint32_t i, int64_t *number);
bool metrics_store_error(const struct status *status, uint32_t i, int64_t *number);
bool metrics_next_poll(const struct status *status, uint32_t i, int64_t *number);
bool metrics_role_version(const struct status *status, uint32_t i, int64_t *number);
bool metrics_role_expiry(const struct status *status, uint32_t i, int64_t *number);
bool metrics_part_state(const struct status *status, uint32_t i, int64_t *number);
bool metrics_part_error(const struct status *status, uint32_t i, int64_t *number);

#endif
