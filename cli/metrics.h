/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status as metrics, in Prometheus' text format, version 0.0.4, which node_exporter's textfile
 * collector reads (prometheus.io/docs/instrumenting/exposition_formats).
 */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/status.h"

#define METRIC_LABELS_MAX 5u

/* Room for the metrics of any status. */
#define METRICS_MAX (1u << 18)

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

/* Values of a sample's labels, in the order of their names. room: for those that are put together.
 */
struct metric_labels {
	const char *values[METRIC_LABELS_MAX];
	char number[12];
	char room[STATUS_FILTER_MAX];
};

/* What a metric has a sample for each of, numbered from 0. */
struct metric_each {
	const char *names[METRIC_LABELS_MAX]; /* of labels; NULL behind the last */
	/* As many as there are, or always so many. */
	uint32_t (*count)(const struct status *status);
	uint32_t always;
	/* Values of the labels, text of others not escaped; or the value of the only one. */
	void (*label)(const struct status *status, uint32_t i, struct metric_labels *labels);
	const char *(*word)(uint32_t i);
};

/* A number of struct status that is always at the same place, and its labels. */
enum metric_from {
	METRIC_U64,  /* at: offset in struct status */
	METRIC_U32,  /* likewise */
	METRIC_FLAG, /* likewise, a bool */
	METRIC_STAT, /* at: STAT_ of a role */
};

struct metric_row {
	enum metric_from from;
	enum role role; /* of METRIC_STAT */
	size_t at;
	const char *labels[2]; /* values; NULL behind the last */
};

struct metric {
	const char *name;
	const char *help; /* no backslash, no newline */
	enum metric_type type;
	uint32_t per; /* so many make one of the unit that the name says; 0 = 1 */
	/* Without it, always: with no source there is nothing to say of it. */
	bool (*when)(const struct status *status);

	/* Either: a row for each sample. */
	const char *row_names[2]; /* of labels; NULL behind the last */
	const struct metric_row *rows;
	uint32_t row_count;

	/*
	 * Or: what each of a list has, false: none. Or: offset of an uint32_t in struct status,
	 * 1 for the word that it stands for, 0 for the others.
	 */
	const struct metric_each *each;
	bool (*get)(const struct status *status, uint32_t i, int64_t *number);
	size_t state;
};

/* All metrics, in their order. */
extern const struct metric metrics[];
extern const uint32_t metric_count;

/* "counter", "gauge" */
const char *metrics_type(enum metric_type type);

/* The name of the i-th label, NULL if it has no more. */
const char *metrics_label(const struct metric *metric, uint32_t i);

/*
 * Write all metrics of a status, without a NUL that counts. A second sample with the labels of an
 * earlier one is left out: the reader would refuse all. Returns the length or -EMSGSIZE.
 */
int metrics_write(const struct status *status, char *out, size_t cap);

#endif
