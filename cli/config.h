/* SPDX-License-Identifier: Apache-2.0 */
/* What the three commands about configuration share. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "cli/cli.h"
#include "common/jsonbuf.h"
#include "common/keys.h"
#include "common/msg.h"

#define CONFIG_VALUE_MAX 1024u /* a list of groups */

/* Where an answer of one message goes. */
struct config_answer {
	const char *command; /* for error messages */
	bool came;
	bool refused;
	union msg msg;
};

/*
 * Ask conntraced and wait for the one message of its answer. The answer is large: static. Returns
 * an exit code, after telling what is wrong if it is not CLI_OK.
 */
int config_ask(const struct cli_options *options, enum ask ask, struct config_answer *answer);

/* A value as one would write it; of filters how many there are. out has CONFIG_VALUE_MAX bytes. */
void config_value(const struct schema_key *key, const struct config *config, char *out);

/* Print what was put into json. Returns the code, or CLI_FAILED after telling why not. */
int config_print(const char *command, struct jsonbuf *json, int code);

#endif
