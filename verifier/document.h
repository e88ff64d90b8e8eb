/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML text as a tree of plain maps, lists and scalars, within fixed bounds. What a configuration
 * does not need is refused: aliases, anchors, tags, several documents, the same key twice.
 */
#ifndef VERIFIER_DOCUMENT_H
#define VERIFIER_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include "verifier/errors.h"

#define DOCUMENT_NODES_MAX 1024u
#define DOCUMENT_DEPTH_MAX 8u
#define DOCUMENT_TEXT_MAX  CONFIG_PATH_MAX /* bytes of one scalar, with its NUL */

enum node_kind {
	NODE_NULL, /* no value, or the plain word null or ~ */
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAP, /* children: key, value, key, value, ...; keys are scalars, each once */
};

/* Nodes name each other by index; 0 is no node. */
struct node {
	enum node_kind kind;
	uint32_t line; /* from 1 */
	uint32_t child;
	uint32_t next;
	char text[DOCUMENT_TEXT_MAX];
};

/* Large: not for the stack. */
struct document {
	uint32_t root; /* 0: the text is empty */
	uint32_t count;
	struct node nodes[DOCUMENT_NODES_MAX];
};

/*
 * Read a text. What is wrong with it goes to errors. Returns 0 if the tree is whole (there may be
 * errors all the same), -EINVAL if reading had to stop, -ENOMEM.
 */
int document_parse(struct document *document, const char *text, size_t len, struct errors *errors);

/* The node at an index that is not 0. */
static inline const struct node *document_node(const struct document *document, uint32_t index)
{
	return &document->nodes[index];
}

#endif
