/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/metrics.h"
#include "cli/safe.h"
#include "cli/textbuf.h"

const char *metrics_type(enum metric_type type)
{
	return type == METRIC_COUNTER ? "counter" : "gauge";
}

const char *metrics_label(const struct metric *metric, uint32_t i)
{
	if (metric->each)
		return i < METRIC_LABELS_MAX ? metric->each->names[i] : NULL;
	return i < 2 ? metric->row_names[i] : NULL;
}

/* Printable ASCII, as status shows it to people; then what the format wants of a label's value. */
static void put_value(struct textbuf *text, const char *value)
{
	for (const char *at = safe(value); *at; at++)
		textbuf_add(text, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
}

static void put_labels(struct textbuf *text, const struct metric *metric, const char *const *values)
{
	textbuf_add(text, "%s", metric->name);
	for (uint32_t i = 0; metrics_label(metric, i); i++) {
		textbuf_add(text, "%s%s=\"", i ? "," : "{", metrics_label(metric, i));
		put_value(text, values[i]);
		textbuf_add(text, "\"");
	}
	textbuf_add(text, metrics_label(metric, 0) ? "} " : " ");
}

static void put_number(struct textbuf *text, int64_t number, uint32_t per)
{
	uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;
	int digits = 0;

	for (uint32_t left = per; left > 1; left /= 10)
		digits++;
	textbuf_add(text, "%s%" PRIu64, number < 0 ? "-" : "", digits ? size / per : size);
	if (digits)
		textbuf_add(text, ".%0*" PRIu64, digits, size % per);
	textbuf_add(text, "\n");
}

/* family: where the samples of this metric begin. */
static void put_sample(struct textbuf *text, size_t family, const struct metric *metric,
		       const char *const *values, int64_t number)
{
	size_t begin = text->len;

	put_labels(text, metric, values);
	/* The quotes around values can't be part of one: this finds whole names with labels. */
	if (memmem(text->out + family, begin - family, text->out + begin, text->len - begin)) {
		text->len = begin;
		return;
	}
	put_number(text, number, metric->per);
}

static bool row_number(const struct status *status, const struct metric_row *row, int64_t *number)
{
	const char *at = (const char *)status + row->at;
	uint64_t reported = 0;

	switch (row->from) {
	case METRIC_U64:
		*number = (int64_t) * (const uint64_t *)at;
		return true;
	case METRIC_U32:
		*number = *(const uint32_t *)at;
		return true;
	case METRIC_FLAG:
		*number = *(const bool *)at;
		return true;
	case METRIC_STAT:
		break;
	}
	if (!status_number(status, row->role, (uint32_t)row->at, &reported))
		return false;
	*number = (int64_t)reported;
	return true;
}

static void put_rows(struct textbuf *text, const struct status *status, const struct metric *metric)
{
	size_t family = text->len;
	int64_t number;

	for (uint32_t i = 0; i < metric->row_count; i++)
		if (row_number(status, &metric->rows[i], &number))
			put_sample(text, family, metric, metric->rows[i].labels, number);
}

static void put_each(struct textbuf *text, const struct status *status, const struct metric *metric)
{
	const struct metric_each *each = metric->each;
	uint32_t count = each->count ? each->count(status) : each->always;
	size_t family = text->len;

	for (uint32_t i = 0; i < count; i++) {
		struct metric_labels labels = {.room = ""};
		int64_t number = 0;

		if (each->label)
			each->label(status, i, &labels);
		else if (each->word)
			labels.values[0] = each->word(i);
		if (!metric->get)
			number = *(const uint32_t *)((const char *)status + metric->state) == i;
		else if (!metric->get(status, i, &number))
			continue;
		put_sample(text, family, metric, labels.values, number);
	}
}

int metrics_write(const struct status *status, char *out, size_t cap)
{
	struct textbuf text = {.out = out, .cap = cap};

	for (uint32_t i = 0; i < metric_count; i++) {
		const struct metric *metric = &metrics[i];
		size_t begin = text.len, samples;

		if (metric->when && !metric->when(status))
			continue;
		textbuf_add(&text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
			    metric->name, metrics_type(metric->type));
		samples = text.len;
		if (metric->each)
			put_each(&text, status, metric);
		else
			put_rows(&text, status, metric);
		if (text.len == samples)
			text.len = begin;
	}
	if (text.full)
		return -EMSGSIZE;
	/* What was taken back last still stands there. */
	out[text.len] = '\0';
	return (int)text.len;
}
