/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/document.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <yaml.h>

/* A map or list that is open. */
struct level {
	uint32_t node;
	uint32_t last; /* its last child so far */
	uint32_t children;
};

struct builder {
	struct document *document;
	struct errors *errors;
	struct level levels[DOCUMENT_DEPTH_MAX];
	uint32_t depth;
	uint32_t documents;
	bool done;
};

static uint32_t line_of(const yaml_event_t *event)
{
	return (uint32_t)event->start_mark.line + 1;
}

static bool is_key(const struct builder *b)
{
	const struct level *level = b->depth ? &b->levels[b->depth - 1] : NULL;

	return level && b->document->nodes[level->node].kind == NODE_MAP && !(level->children & 1);
}

static void link_node(struct builder *b, uint32_t index)
{
	struct node *nodes = b->document->nodes;
	struct level *level;

	if (!b->depth) {
		b->document->root = index;
		return;
	}
	level = &b->levels[b->depth - 1];
	if (level->last)
		nodes[level->last].next = index;
	else
		nodes[level->node].child = index;
	level->last = index;
	level->children++;
}

/* Returns the node's index, 0 if there can be none. */
static uint32_t add_node(struct builder *b, enum node_kind kind, const yaml_event_t *event)
{
	struct document *document = b->document;
	struct node *node;

	if (is_key(b) && kind != NODE_SCALAR) {
		errors_add(b->errors, line_of(event), "a key must be a word");
		return 0;
	}
	if (document->count == DOCUMENT_NODES_MAX) {
		errors_add(b->errors, line_of(event),
			   "too much for a configuration: more than %u "
			   "keys and values",
			   DOCUMENT_NODES_MAX - 1);
		return 0;
	}
	node = &document->nodes[document->count];
	node->kind = kind;
	node->line = line_of(event);
	node->child = 0;
	node->next = 0;
	node->text[0] = '\0';
	link_node(b, document->count);
	return document->count++;
}

/* Neither is needed to read the tree, so reading goes on to find what else is wrong. */
static void refuse_extras(struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	if (anchor)
		errors_add(b->errors, line_of(event), "anchors (&name) are not supported");
	if (tag)
		errors_add(b->errors, line_of(event), "tags (!name) are not supported");
}

static bool is_null(const yaml_event_t *event)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
			return true;
	return false;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	uint32_t index;

	refuse_extras(b, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (len >= DOCUMENT_TEXT_MAX) {
		errors_add(b->errors, line_of(event), "a text is longer than %u bytes",
			   DOCUMENT_TEXT_MAX - 1);
		return -EINVAL;
	}
	if (memchr(text, 0, len)) {
		errors_add(b->errors, line_of(event), "a text holds a NUL");
		return -EINVAL;
	}
	index = add_node(b, is_null(event) ? NODE_NULL : NODE_SCALAR, event);
	if (!index)
		return -EINVAL;
	memcpy(b->document->nodes[index].text, text, len + 1);
	return 0;
}

static int open_level(struct builder *b, const yaml_event_t *event, enum node_kind kind)
{
	uint32_t index;

	if (b->depth == DOCUMENT_DEPTH_MAX) {
		errors_add(b->errors, line_of(event), "nested deeper than %u levels",
			   DOCUMENT_DEPTH_MAX);
		return -EINVAL;
	}
	index = add_node(b, kind, event);
	if (!index)
		return -EINVAL;
	b->levels[b->depth++] = (struct level){.node = index};
	return 0;
}

static int on_list(struct builder *b, const yaml_event_t *event)
{
	refuse_extras(b, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	return open_level(b, event, NODE_LIST);
}

static int on_map(struct builder *b, const yaml_event_t *event)
{
	refuse_extras(b, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	return open_level(b, event, NODE_MAP);
}

static int on_list_end(struct builder *b, const yaml_event_t *event)
{
	(void)event;
	b->depth--;
	return 0;
}

/* The key after this one in its map, 0 after the last. A key always has a value behind it. */
static uint32_t next_key(const struct node *nodes, uint32_t key)
{
	return nodes[nodes[key].next].next;
}

static int on_map_end(struct builder *b, const yaml_event_t *event)
{
	const struct node *nodes = b->document->nodes;
	uint32_t first = nodes[b->levels[--b->depth].node].child;
	char quoted[ERRORS_QUOTE_MAX];

	(void)event;
	for (uint32_t key = first; key; key = next_key(nodes, key)) {
		uint32_t other = first;

		while (other != key && strcmp(nodes[other].text, nodes[key].text) != 0)
			other = next_key(nodes, other);
		if (other != key)
			errors_add(b->errors, nodes[key].line,
				   "%s: a second time, first in line %u",
				   errors_quote(nodes[key].text, quoted), nodes[other].line);
	}
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
	errors_add(b->errors, line_of(event),
		   "aliases (*name) are not supported: write the value out");
	return -EINVAL;
}

static int on_document(struct builder *b, const yaml_event_t *event)
{
	if (b->documents++ == 0)
		return 0;
	errors_add(b->errors, line_of(event), "a second document: a file holds one configuration");
	return -EINVAL;
}

static int on_end(struct builder *b, const yaml_event_t *event)
{
	(void)event;
	b->done = true;
	return 0;
}

static int on_nothing(struct builder *b, const yaml_event_t *event)
{
	(void)b;
	(void)event;
	return 0;
}

static int (*const handlers[])(struct builder *, const yaml_event_t *) = {
	[YAML_NO_EVENT] = on_nothing,
	[YAML_STREAM_START_EVENT] = on_nothing,
	[YAML_STREAM_END_EVENT] = on_end,
	[YAML_DOCUMENT_START_EVENT] = on_document,
	[YAML_DOCUMENT_END_EVENT] = on_nothing,
	[YAML_ALIAS_EVENT] = on_alias,
	[YAML_SCALAR_EVENT] = on_scalar,
	[YAML_SEQUENCE_START_EVENT] = on_list,
	[YAML_SEQUENCE_END_EVENT] = on_list_end,
	[YAML_MAPPING_START_EVENT] = on_map,
	[YAML_MAPPING_END_EVENT] = on_map_end,
};

/* A byte that is no text has an offset only, everything else a line. */
static uint32_t problem_line(const yaml_parser_t *parser, const char *text, size_t len)
{
	uint32_t line = 1;

	if (parser->error != YAML_READER_ERROR)
		return (uint32_t)parser->problem_mark.line + 1;
	for (size_t i = 0; i < len && i < parser->problem_offset; i++)
		line += text[i] == '\n';
	return line;
}

static int parse_events(yaml_parser_t *parser, struct builder *b, const char *text, size_t len)
{
	int err = 0;

	while (!err && !b->done) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event)) {
			if (parser->error == YAML_MEMORY_ERROR)
				return -ENOMEM;
			errors_add(b->errors, problem_line(parser, text, len), "not YAML: %s",
				   parser->problem ? parser->problem : "cannot be read");
			return -EINVAL;
		}
		err = handlers[event.type](b, &event);
		yaml_event_delete(&event);
	}
	return err;
}

int document_parse(struct document *document, const char *text, size_t len, struct errors *errors)
{
	struct builder b = {.document = document, .errors = errors};
	yaml_parser_t parser;
	int err;

	document->root = 0;
	document->count = 1;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	err = parse_events(&parser, &b, text, len);
	yaml_parser_delete(&parser);
	return err;
}
