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

/* What stands before the dots of keys.c. */
static const char *const sections[] = {"records", "output", "source", NULL};

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

/* One line for what its check says. */
static void refuse_text(const struct value *v, const struct node *node, const char *wrong)
{
	char quoted[ERRORS_QUOTE_MAX];

	errors_add(v->errors, node->line, "%s: \"%s\" %s", v->key->path,
		   errors_quote(node->text, quoted), wrong);
}

/* A text is taken if nothing is wrong with it. */
static void read_place(const struct value *v, const char *wrong)
{
	if (wrong)
		refuse_text(v, v->node, wrong);
	else
		memcpy((char *)v->config + v->key->offset, v->node->text,
		       strlen(v->node->text) + 1);
}

static void read_url(const struct value *v)
{
	read_place(v, config_url_wrong(v->node->text));
}

static void read_agent(const struct value *v)
{
	read_place(v, config_rc_wrong(v->node->text));
}

static void read_report(const struct value *v)
{
	read_place(v, config_report_wrong(v->node->text));
}

static void read_label(const struct value *v)
{
	const char *wrong = config_label_wrong(v->node->text);

	if (wrong)
		refuse_text(v, v->node, wrong);
	else
		memcpy(v->config->source.host, v->node->text, strlen(v->node->text) + 1);
}

static void read_labels(const struct value *v)
{
	struct config_source *source = &v->config->source;

	source->group_count = 0;
	for (uint32_t at = v->node->child; at; at = document_node(v->document, at)->next) {
		const struct node *item = document_node(v->document, at);
		const char *wrong = config_label_wrong(item->text);

		for (uint32_t i = 0; i < source->group_count && !wrong; i++)
			if (strcmp(source->groups[i].name, item->text) == 0)
				wrong = "stands there twice";
		if (!wrong && source->group_count == CONFIG_GROUPS_MAX)
			wrong = "is one too many: at most 16";
		if (wrong)
			refuse_text(v, item, wrong);
		else
			memcpy(source->groups[source->group_count++].name, item->text,
			       strlen(item->text) + 1);
	}
}
_Static_assert(CONFIG_GROUPS_MAX == 16, "schema: numbers in texts");

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
	[SCHEMA_URL] = {NODE_SCALAR, "a URL", read_url},
	[SCHEMA_AGENT] = {NODE_SCALAR, "a URL", read_agent},
	[SCHEMA_REPORT] = {NODE_SCALAR, "a URL", read_report},
	[SCHEMA_LABEL] = {NODE_SCALAR, "a name", read_label},
	[SCHEMA_LABELS] = {NODE_LIST, "a list, as in [web, db]", read_labels},
	[SCHEMA_FAMILIES] = {NODE_LIST, "a list, as in [ipv4, ipv6]", read_families},
	[SCHEMA_FILTERS] = {NODE_LIST, "a list, as in - exclude: {port: 22}", read_filters},
};

/* --- keys --- */

/* One text being checked. */
struct check {
	struct document *document;
	struct config *config;
	struct config_origins *origins;
	struct errors *errors;
	uint32_t who;    /* SCHEMA_LOCAL or SCHEMA_SOURCE */
	uint32_t number; /* of the text, from 1; 0 = the defaults */
};

static bool is_section(const char *path)
{
	return position(sections, path) >= 0;
}

static void note_origin(const struct check *c, const struct schema_key *key)
{
	struct config_origins *origins = c->origins;

	origins->keys[schema_key_index(key)] = c->number;
	while (origins->filter_count < c->config->filter_count)
		origins->filters[origins->filter_count++] = c->number;
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
	else if (key->type != SCHEMA_FILTERS &&
		 key->type != SCHEMA_LABELS) /* a list of which all is commented out is empty */
		errors_add(c->errors, node->line, "%s: has no value: is not %s", key->path,
			   types[key->type].is_not);
	note_origin(c, key);
}

static void check_unknown(const struct check *c, const struct node *key, const char *path)
{
	char quoted[ERRORS_QUOTE_MAX];
	struct suggest near;

	if (schema_find_key(path)) {
		errors_add(c->errors, key->line,
			   "%s: takes two lines: the section, the key below it", path);
		return;
	}
	suggest_init(&near, path);
	for (size_t i = 0; schema_key_at(i); i++)
		suggest_try(&near, schema_key_at(i)->path);
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
	known = strchr(key->text, '.') ? NULL : schema_find_key(path);
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

static int check_text(struct check *c, const struct schema_text *text)
{
	struct text_name *name = &c->origins->texts[c->origins->text_count++];
	const struct node *root;
	int err;

	snprintf(name->name, sizeof(name->name), "%s", text->name);
	c->number = c->origins->text_count;
	c->who = c->number == 1 ? SCHEMA_LOCAL : SCHEMA_SOURCE;
	c->errors->file = text->name;
	err = document_parse(c->document, text->text, text->len, c->errors);
	if (err || !c->document->root)
		return err == -ENOMEM ? err : 0;
	root = document_node(c->document, c->document->root);
	if (root->kind == NODE_MAP)
		check_map(c, root, "");
	else if (root->kind != NODE_NULL)
		errors_add(c->errors, root->line,
			   "not a configuration: no \"key: value\" at the top");
	return 0;
}

/* --- all texts --- */

/* The defaults are texts as a person would write them, read as those are. */
static int read_defaults(struct check *c)
{
	int err = 0;

	c->who = SCHEMA_LOCAL;
	c->number = 0;
	for (size_t i = 0; schema_key_at(i) && !err; i++) {
		const struct schema_key *key = schema_key_at(i);
		const char *text = key->fallback;

		c->origins->key_count++;
		if (!text)
			continue;
		err = document_parse(c->document, text, strlen(text), c->errors);
		if (!err)
			check_value(c, key, document_node(c->document, c->document->root));
	}
	return err ? err : c->errors->total ? -EINVAL : 0;
}

static int check_texts(struct check *c, const struct schema_text *local,
		       const struct schema_text *parts, uint32_t part_count)
{
	const char *wrong;
	int err = check_text(c, local);

	for (uint32_t i = 0; i < part_count && !err; i++)
		err = check_text(c, &parts[i]);
	if (err || c->errors->total)
		return err ? err : -EINVAL;
	c->errors->file = local->name;
	wrong = config_inconsistent(c->config);
	if (wrong)
		errors_add(c->errors, 0, "%s", wrong);
	return wrong ? -EINVAL : 0;
}

int schema_check(const struct schema_text *local, const struct schema_text *parts,
		 uint32_t part_count, struct config *out, struct config_origins *origins,
		 struct errors *errors)
{
	struct check c = {.document = malloc(sizeof(*c.document)),
			  .config = out,
			  .origins = origins,
			  .errors = errors};
	struct config config = {0};
	int err;

	memset(out, 0, sizeof(*out));
	memset(origins, 0, sizeof(*origins));
	memset(errors, 0, sizeof(*errors));
	errors->file = "";
	if (!c.document)
		return -ENOMEM;
	err = read_defaults(&c);
	if (!err) {
		config = *out;
		c.config = &config;
		err = check_texts(&c, local, parts, part_count);
	}
	if (!err)
		*out = config;
	free(c.document);
	return err;
}
