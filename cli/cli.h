/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace's commands. Each prints its own errors and returns the exit code. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "common/config.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* status: tracing is not up; metrics: not written; list, tail: no answer */
	CLI_USAGE = 2,  /* of doctor also that conntraced can't run: enum doctor_verdict */
	CLI_NO_DAEMON = 3,
	CLI_NO_INPUT = 66, /* config check: as conntraced --check */
	CLI_INVALID = 78,  /* likewise */
};

struct cli_options {
	bool json;
	const char *socket;            /* --socket, NULL = look for it */
	enum config_tracer tracer;     /* of doctor: as the configuration would say */
	enum config_instance instance; /* likewise */
	bool nat;                      /* likewise */
	bool as_source;                /* of config check: the file is one of a source */
	const char *file;              /* of config check */
	const char *output;            /* of metrics: the file to write, NULL = standard output */
};

int cli_status(const struct cli_options *options);
int cli_metrics(const struct cli_options *options);
int cli_list(const struct cli_options *options);
int cli_doctor(const struct cli_options *options);
int cli_tail(const struct cli_options *options);
int cli_config_show(const struct cli_options *options);
int cli_config_check(const struct cli_options *options);
int cli_config_history(const struct cli_options *options);

#endif
