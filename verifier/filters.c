/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/filters.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "verifier/suggest.h"
#include "verifier/values.h"

#define FORM "- exclude: {cidr: 10.0.0.0/8, port: 22}"

static bool read_cidr(const struct node *value, struct config_filter *filter, struct errors *errors)
{
	const char *wrong = value_cidr(value->text, &filter->match);
	char quoted[ERRORS_QUOTE_MAX];

	if (wrong)
		errors_add(errors, value->line, "filters: cidr: \"%s\" %s",
			   errors_quote(value->text, quoted), wrong);
	return !wrong;
}

static bool read_port(const struct node *value, struct config_filter *filter, struct errors *errors)
{
	char quoted[ERRORS_QUOTE_MAX];

	if (value_ports(value->text, &filter->match.port_low, &filter->match.port_high))
		return true;
	errors_add(errors, value->line,
		   "filters: port: \"%s\" is not a port or a range of ports (443, 8000-8999; "
		   "from 1 to 65535)",
		   errors_quote(value->text, quoted));
	return false;
}

static bool read_protocol(const struct node *value, struct config_filter *filter,
			  struct errors *errors)
{
	static const struct {
		const char *name;
		uint8_t set;
	} protocols[] = {{"tcp", PROTOCOL_TCP}, {"udp", PROTOCOL_UDP}};
	char quoted[ERRORS_QUOTE_MAX];

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(value->text, protocols[i].name) == 0) {
			filter->match.protocols = protocols[i].set;
			return true;
		}
	}
	errors_add(errors, value->line, "filters: protocol: \"%s\" is neither tcp nor udp",
		   errors_quote(value->text, quoted));
	return false;
}

static bool read_cgroup(const struct node *value, struct config_filter *filter,
			struct errors *errors)
{
	const char *wrong = config_cgroup_wrong(value->text);
	char quoted[ERRORS_QUOTE_MAX];

	if (wrong) {
		errors_add(errors, value->line,
			   "filters: cgroup: \"%s\" %s; give the path as /proc/PID/cgroup has it "
			   "behind 0:: (/system.slice/nginx.service)",
			   errors_quote(value->text, quoted), wrong);
		return false;
	}
	filter->match.by_cgroup = 1;
	snprintf(filter->cgroup, sizeof(filter->cgroup), "%s", value->text);
	return true;
}

static bool read_sample(const struct node *value, struct config_filter *filter,
			struct errors *errors)
{
	char quoted[ERRORS_QUOTE_MAX];

	if (filter->match.action != FILTER_INCLUDE) {
		errors_add(errors, value->line,
			   "filters: sample: stands with include alone: what is excluded has no "
			   "records to take one in so many of");
		return false;
	}
	if (value_count(value->text, SAMPLE_MAX, &filter->match.sample))
		return true;
	errors_add(errors, value->line,
		   "filters: sample: \"%s\" is not a number from 1 to %u (100: one connection in a "
		   "hundred)",
		   errors_quote(value->text, quoted), SAMPLE_MAX);
	return false;
}

/* What may stand behind an action; errors name them in this order. */
static const struct condition {
	const char *name;
	bool (*read)(const struct node *value, struct config_filter *filter, struct errors *errors);
} conditions[] = {{"cidr", read_cidr},
		  {"port", read_port},
		  {"protocol", read_protocol},
		  {"cgroup", read_cgroup},
		  {"sample", read_sample}};

#define NAMES "cidr, port, protocol, cgroup and sample"

#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

static bool read_condition(const struct node *key, const struct node *value,
			   struct config_filter *filter, struct errors *errors)
{
	char quoted[ERRORS_QUOTE_MAX];
	struct suggest near;

	suggest_init(&near, key->text);
	for (size_t i = 0; i < CONDITIONS; i++) {
		if (strcmp(key->text, conditions[i].name) != 0) {
			suggest_try(&near, conditions[i].name);
			continue;
		}
		if (value->kind == NODE_SCALAR)
			return conditions[i].read(value, filter, errors);
		errors_add(errors, value->line, "filters: %s: has no plain value (" FORM ")",
			   conditions[i].name);
		return false;
	}
	errors_add(errors, key->line, "filters: unknown condition \"%s\"; %s%s",
		   errors_quote(key->text, quoted), near.best ? "meant: " : "there are " NAMES,
		   near.best ? near.best : "");
	return false;
}

static bool read_conditions(const struct document *document, const struct node *map,
			    struct config_filter *filter, struct errors *errors)
{
	bool right = true;
	uint32_t at = map->child;

	while (at) {
		const struct node *key = document_node(document, at);
		const struct node *value = document_node(document, key->next);

		right = read_condition(key, value, filter, errors) && right;
		at = value->next;
	}
	if (map->child)
		return right;
	errors_add(errors, map->line,
		   "filters: no condition: name some of " NAMES ", or write all");
	return false;
}

/* The node behind the action: "all", or a map of conditions. */
static bool read_match(const struct document *document, const struct node *match,
		       struct config_filter *filter, struct errors *errors)
{
	if (match->kind == NODE_MAP)
		return read_conditions(document, match, filter, errors);
	if (match->kind == NODE_SCALAR && strcmp(match->text, "all") == 0)
		return true;
	errors_add(errors, match->line, "filters: not a condition (" FORM ", - exclude: all)");
	return false;
}

static bool read_action(const struct node *key, struct config_filter *filter, struct errors *errors)
{
	static const char *const actions[] = {
		[FILTER_EXCLUDE] = "exclude",
		[FILTER_INCLUDE] = "include",
	};
	char quoted[ERRORS_QUOTE_MAX];

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(key->text, actions[i]) == 0) {
			filter->match.action = (uint8_t)i;
			return true;
		}
	}
	errors_add(errors, key->line, "filters: \"%s\" is neither exclude nor include (" FORM ")",
		   errors_quote(key->text, quoted));
	return false;
}

static bool read_filter(const struct document *document, const struct node *item,
			struct config_filter *filter, struct errors *errors)
{
	const struct node *key, *match;

	config_filter_init(filter);
	if (item->kind != NODE_MAP || !item->child) {
		errors_add(errors, item->line, "filters: not a filter (" FORM ")");
		return false;
	}
	key = document_node(document, item->child);
	match = document_node(document, key->next);
	if (match->next) {
		errors_add(errors, document_node(document, match->next)->line,
			   "filters: each filter is an item of its own, with a '-' before it");
		return false;
	}
	return read_action(key, filter, errors) && read_match(document, match, filter, errors);
}

void filters_read(const struct document *document, const struct node *list, struct config *config,
		  struct errors *errors)
{
	for (uint32_t at = list->child; at; at = document_node(document, at)->next) {
		const struct node *item = document_node(document, at);
		struct config_filter filter;

		if (!read_filter(document, item, &filter, errors))
			continue;
		if (config->filter_count == FILTERS_MAX) {
			errors_add(errors, item->line,
				   "filters: more than %u in all files together", FILTERS_MAX);
			return;
		}
		config->filters[config->filter_count++] = filter;
	}
}
