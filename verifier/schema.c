/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/schema.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier/document.h"
#include "verifier/filters.h"
#include "verifier/suggest.h"
#include "verifier/values.h"

#define PATH_LEN_MAX (DOCUMENT_TEXT_MAX + 32u)

#define LOCAL SCHEMA_LOCAL
#define BOTH  (SCHEMA_LOCAL | SCHEMA_SOURCE)
#define AT(m) offsetof(struct config, m)

static const char *const families[] = {"ipv4", "ipv6", NULL};
static const char *const output[] = {"-", NULL};
static const char *const nothing[] = {NULL};

_Static_assert(FAMILY_IPV4 == 1u << 0 && FAMILY_IPV6 == 1u << 1, "schema: families");

/* clang-format off */
static const struct schema_key keys[] = {
	/* path, type, who may set it, member, default, least, most, among */
	{"tracer", SCHEMA_CHOICE, LOCAL, AT(tracer), "auto", NULL, NULL, config_tracers},
	{"instance", SCHEMA_CHOICE, LOCAL, AT(instance), "auto", NULL, NULL, config_instances},
	{"btf", SCHEMA_PATH, LOCAL, AT(btf_path), NULL, NULL, NULL, nothing},
	{"families", SCHEMA_FAMILIES, BOTH, AT(families), "[ipv4, ipv6]", NULL, NULL, families},
	{"snapshot_interval", SCHEMA_DURATION, BOTH, AT(snapshot_interval_ms),
	 "10s", "100ms", "1h", NULL},
	{"records.open", SCHEMA_FLAG, BOTH, AT(record_open), "false", NULL, NULL, NULL},
	{"filters", SCHEMA_FILTERS, BOTH, AT(filters), "[]", NULL, NULL, NULL},
	{"nat", SCHEMA_FLAG, LOCAL, AT(nat), "false", NULL, NULL, NULL},
	{"memory_budget", SCHEMA_BUDGET, LOCAL, 0, "16MiB", "1MiB", "1GiB", NULL},
	{"output.format", SCHEMA_CHOICE, LOCAL, AT(output_format),
	 "auto", NULL, NULL, config_formats},
	{"output.path", SCHEMA_PATH, LOCAL, AT(output_path), "\"-\"", NULL, NULL, output},
	{"source.dir", SCHEMA_PATH, LOCAL, AT(source_dir), NULL, NULL, NULL, nothing},
	{"source.interval", SCHEMA_DURATION, LOCAL, AT(poll_interval_ms),
	 "60s", "100ms", "24h", NULL},
	{"source.probation", SCHEMA_DURATION, LOCAL, AT(probation_ms),
	 "60s", "100ms", "1h", NULL},
};
/* clang-format on */

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* What stands before the dots above. */
static const char *const sections[] = {"records", "output", "source", NULL};

const struct schema_key *schema_key_at(size_t index)
{
	return index < KEYS ? &keys[index] : NULL;
}

/* --- values --- */

/* One value on its way into the configuration. */
struct value {
	const struct schema_key *key;
	const struct document *document;
	const struct node *node;
	struct config *config;
	struct errors *errors;
};

static void put_u32(const struct value *v, uint64_t number)
{
	uint32_t narrow = (uint32_t)number;

	memcpy((char *)v->config + v->key->offset, &narrow, sizeof(narrow));
}

/* The position of a word in a list that ends with NULL, -1 if it isn't there. */
static int position(const char *const *among, const char *word)
{
	for (int i = 0; among[i]; i++)
		if (strcmp(among[i], word) == 0)
			return i;
	return -1;
}

static const char *join(const char *const *among, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; among[i] && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : "", among[i]);
	return out;
}

static void read_choice(const struct value *v)
{
	int at = position(v->key->among, v->node->text);
	char quoted[ERRORS_QUOTE_MAX], list[96];

	if (at >= 0)
		put_u32(v, (uint64_t)at);
	else
		errors_add(v->errors, v->node->line, "%s: \"%s\" is not one of: %s", v->key->path,
			   errors_quote(v->node->text, quoted),
			   join(v->key->among, list, sizeof(list)));
}

static void read_flag(const struct value *v)
{
	static const char *const words[] = {"false", "true", NULL};
	int at = position(words, v->node->text);
	char quoted[ERRORS_QUOTE_MAX];

	if (at >= 0)
		put_u32(v, (uint64_t)at);
	else
		errors_add(v->errors, v->node->line, "%s: \"%s\" is not true or false",
			   v->key->path, errors_quote(v->node->text, quoted));
}

typedef bool (*scaled_reader)(const char *text, uint64_t *value);

/* Reads a number with a unit and checks its range, which is written in the same units. */
static bool read_scaled(const struct value *v, scaled_reader read, const char *what,
			uint64_t *number)
{
	uint64_t least = 0, most = 0;
	char quoted[ERRORS_QUOTE_MAX];
	bool is_one = read(v->node->text, number);

	if (is_one && read(v->key->least, &least) && read(v->key->most, &most) &&
	    *number >= least && *number <= most)
		return true;
	errors_add(v->errors, v->node->line, "%s: \"%s\" is %s (a number with %s, from %s to %s)",
		   v->key->path, errors_quote(v->node->text, quoted),
		   is_one                   ? "out of range"
		   : read == value_duration ? "not a duration"
					    : "not a size",
		   what, v->key->least, v->key->most);
	return false;
}

static void read_duration(const struct value *v)
{
	uint64_t ms;

	if (read_scaled(v, value_duration, "ms, s, m or h", &ms))
		put_u32(v, ms);
}

static void read_budget(const struct value *v)
{
	uint64_t bytes;

	if (read_scaled(v, value_size, "KiB, MiB or GiB", &bytes))
		config_apply_budget(bytes, v->config);
}

static void read_path(const struct value *v)
{
	const char *text = v->node->text;
	const char *word = v->key->among[0];
	char quoted[ERRORS_QUOTE_MAX];

	if (text[0] == '/' || (word && strcmp(text, word) == 0))
		memcpy((char *)v->config + v->key->offset, text, strlen(text) + 1);
	else
		errors_add(v->errors, v->node->line, "%s: \"%s\" is not an absolute path%s%s%s",
			   v->key->path, errors_quote(text, quoted), word ? " or \"" : "",
			   word ? word : "", word ? "\"" : "");
}
_Static_assert(DOCUMENT_TEXT_MAX <= CONFIG_PATH_MAX, "schema: a scalar fits a path");

static void read_families(const struct value *v)
{
	char quoted[ERRORS_QUOTE_MAX];
	uint32_t bits = 0;

	for (uint32_t at = v->node->child; at; at = document_node(v->document, at)->next) {
		const struct node *item = document_node(v->document, at);
		int family = position(v->key->among, item->text);

		if (family >= 0)
			bits |= 1u << family;
		else
			errors_add(v->errors, item->line, "%s: \"%s\" is not one of: ipv4, ipv6",
				   v->key->path, errors_quote(item->text, quoted));
	}
	if (!v->node->child)
		errors_add(v->errors, v->node->line, "%s: names none: ipv4, ipv6 or both",
			   v->key->path);
	else
		put_u32(v, bits);
}

static void read_filters(const struct value *v)
{
	filters_read(v->document, v->node, v->config, v->errors);
}

static const struct {
	enum node_kind kind; /* that the value must be of */
	const char *is_not;
	void (*read)(const struct value *v);
} types[SCHEMA_TYPE_COUNT] = {
	[SCHEMA_CHOICE] = {NODE_SCALAR, "a word", read_choice},
	[SCHEMA_FLAG] = {NODE_SCALAR, "true or false", read_flag},
	[SCHEMA_DURATION] = {NODE_SCALAR, "a duration, as in 10s", read_duration},
	[SCHEMA_BUDGET] = {NODE_SCALAR, "a size, as in 16MiB", read_budget},
	[SCHEMA_PATH] = {NODE_SCALAR, "a path (a single - goes in quotes)", read_path},
	[SCHEMA_FAMILIES] = {NODE_LIST, "a list, as in [ipv4, ipv6]", read_families},
	[SCHEMA_FILTERS] = {NODE_LIST, "a list, as in - exclude: {port: 22}", read_filters},
};

/* --- keys --- */

/* One text being checked. */
struct check {
	const struct document *document;
	struct config *config;
	struct errors *errors;
	uint32_t who; /* SCHEMA_LOCAL or SCHEMA_SOURCE */
};

static const struct schema_key *find_key(const char *path)
{
	for (size_t i = 0; i < KEYS; i++)
		if (strcmp(keys[i].path, path) == 0)
			return &keys[i];
	return NULL;
}

static bool is_section(const char *path)
{
	return position(sections, path) >= 0;
}

static void check_value(const struct check *c, const struct schema_key *key,
			const struct node *node)
{
	struct value v = {.key = key,
			  .document = c->document,
			  .node = node,
			  .config = c->config,
			  .errors = c->errors};

	if (!(key->set_by & c->who))
		errors_add(c->errors, node->line,
			   "%s: may be set only in the local configuration file", key->path);
	else if (node->kind == types[key->type].kind)
		types[key->type].read(&v);
	else if (node->kind != NODE_NULL)
		errors_add(c->errors, node->line, "%s: is not %s", key->path,
			   types[key->type].is_not);
	else if (key->type != SCHEMA_FILTERS) /* a list of which all is commented out is empty */
		errors_add(c->errors, node->line, "%s: has no value: is not %s", key->path,
			   types[key->type].is_not);
}

static void check_unknown(const struct check *c, const struct node *key, const char *path)
{
	char quoted[ERRORS_QUOTE_MAX];
	struct suggest near;

	if (find_key(path)) {
		errors_add(c->errors, key->line,
			   "%s: takes two lines: the section, the key below it", path);
		return;
	}
	suggest_init(&near, path);
	for (size_t i = 0; i < KEYS; i++)
		suggest_try(&near, keys[i].path);
	for (size_t i = 0; sections[i]; i++)
		suggest_try(&near, sections[i]);
	errors_add(c->errors, key->line, "%s: unknown key%s%s", errors_quote(path, quoted),
		   near.best ? "; meant: " : "", near.best ? near.best : "");
}

static void check_map(const struct check *c, const struct node *map, const char *section);

static void check_key(const struct check *c, const struct node *key, const struct node *value,
		      const char *section)
{
	char path[PATH_LEN_MAX];
	const struct schema_key *known;

	snprintf(path, sizeof(path), "%s%s%s", section, section[0] ? "." : "", key->text);
	known = strchr(key->text, '.') ? NULL : find_key(path);
	if (known)
		check_value(c, known, value);
	else if (!is_section(path))
		check_unknown(c, key, path);
	else if (value->kind == NODE_MAP)
		check_map(c, value, path);
	else if (value->kind != NODE_NULL)
		errors_add(c->errors, value->line, "%s: is a section: its keys go below it", path);
}

/* Goes no deeper than sections are in the table. */
static void check_map(const struct check *c, const struct node *map, const char *section)
{
	uint32_t at = map->child;

	while (at) {
		const struct node *key = document_node(c->document, at);
		const struct node *value = document_node(c->document, key->next);

		check_key(c, key, value, section);
		at = value->next;
	}
}

static int check_text(const struct schema_text *text, uint32_t who, struct document *document,
		      struct config *config, struct errors *errors)
{
	struct check c = {.document = document, .config = config, .errors = errors, .who = who};
	const struct node *root;
	int err;

	errors->file = text->name;
	err = document_parse(document, text->text, text->len, errors);
	if (err || !document->root)
		return err == -ENOMEM ? err : 0;
	root = document_node(document, document->root);
	if (root->kind == NODE_MAP)
		check_map(&c, root, "");
	else if (root->kind != NODE_NULL)
		errors_add(errors, root->line, "not a configuration: no \"key: value\" at the top");
	return 0;
}

/* --- all texts --- */

/* The defaults are texts as a person would write them, read as those are. */
static int read_defaults(struct document *document, struct config *config, struct errors *errors)
{
	struct check c = {
		.document = document, .config = config, .errors = errors, .who = SCHEMA_LOCAL};
	int err = 0;

	memset(config, 0, sizeof(*config));
	for (size_t i = 0; i < KEYS && !err; i++) {
		const char *text = keys[i].fallback;

		if (!text)
			continue;
		err = document_parse(document, text, strlen(text), errors);
		if (!err)
			check_value(&c, &keys[i], document_node(document, document->root));
	}
	return err ? err : errors->total ? -EINVAL : 0;
}

static int check_texts(const struct schema_text *local, const struct schema_text *parts,
		       uint32_t part_count, struct document *document, struct config *config,
		       struct errors *errors)
{
	const char *wrong;
	int err = check_text(local, SCHEMA_LOCAL, document, config, errors);

	for (uint32_t i = 0; i < part_count && !err; i++)
		err = check_text(&parts[i], SCHEMA_SOURCE, document, config, errors);
	if (err || errors->total)
		return err ? err : -EINVAL;
	errors->file = local->name;
	wrong = config_inconsistent(config);
	if (wrong)
		errors_add(errors, 0, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

int schema_check(const struct schema_text *local, const struct schema_text *parts,
		 uint32_t part_count, struct config *out, struct errors *errors)
{
	struct document *document = malloc(sizeof(*document));
	struct config config = {0};
	int err;

	memset(errors, 0, sizeof(*errors));
	errors->file = "";
	if (!document)
		return -ENOMEM;
	err = read_defaults(document, out, errors);
	if (!err) {
		config = *out;
		err = check_texts(local, parts, part_count, document, &config, errors);
	}
	if (!err)
		*out = config;
	free(document);
	return err;
}
