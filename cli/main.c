/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace: asks conntraced. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "common/log.h"

struct command {
	const char *name;
	int (*run)(const struct cli_options *options);
	const char *meaning;
	const char *help;
};

static const struct command commands[] = {
	{"status", cli_status, "processes, ladder, configuration, counters, account",
	 "Shows each process with what it may do, how tracing came up, the configuration\n"
	 "in force, the counters, and whether every connection is accounted for.\n"
	 "\n"
	 "Exit status: 0 tracing is up, 1 it isn't, 3 no conntraced answers.\n"},
	{"list", cli_list, "the connections that are live now",
	 "Makes a snapshot of the live connections and prints one line for each.\n"
	 "With --json one JSON object per line, the fields as in the records.\n"
	 "\n"
	 "Exit status: 0 printed, 1 the list can't be had now, 3 no conntraced answers.\n"},
	{"tail", cli_tail, "the records as they come, until interrupted",
	 "Prints each record when it passes, until interrupted. Records that are not read\n"
	 "in time are left out and counted (ledger: clients_dropped).\n"
	 "\n"
	 "Exit status: 0 interrupted, 1 the records ended, 3 no conntraced answers.\n"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},
	{"socket", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static const char option_help[] =
	"Options:\n"
	"  --json         JSON instead of text for people\n"
	"  --socket PATH  conntraced's control socket (default: $" CLIENT_SOCKET_ENV ",\n"
	"                 else " CLIENT_SOCKET_DEFAULT ",\n"
	"                 else $XDG_RUNTIME_DIR/" CLIENT_SOCKET_USER ")\n"
	"  --help         this text, or that of a command\n"
	"  --version      print the version\n";

static int help_all(void)
{
	printf("Usage: conntrace COMMAND [--json] [--socket PATH]\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-8s %s\n", commands[i].name, commands[i].meaning);
	printf("\n%s\nExit status: 0 all well, 1 no, 2 wrong usage, 3 no conntraced answers.\n",
	       option_help);
	return CLI_OK;
}

static int help_command(const struct command *command)
{
	printf("Usage: conntrace %s [--json] [--socket PATH]\n\n%s\n%s", command->name,
	       command->help, option_help);
	return CLI_OK;
}

static int usage(const char *what, const char *word)
{
	char text[128];

	log_escape(word, text, sizeof(text));
	fprintf(stderr, "conntrace: %s%s: see conntrace --help\n", what, text);
	return CLI_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct cli_options options = {.json = false};
	const struct command *command;
	bool help = false;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == 'V')
			return printf("conntrace " VERSION "\n") < 0 ? CLI_FAILED : CLI_OK;
		if (c == 's')
			options.socket = optarg;
		else if (c == 'j' || c == 'h')
			*(c == 'j' ? &options.json : &help) = true;
		else
			return usage(c == ':' ? "option needs a value: " : "unknown option: ",
				     argv[optind - 1]);
	}
	if (optind == argc)
		return help ? help_all() : usage("no command given", "");
	command = find_command(argv[optind]);
	if (!command)
		return usage("unknown command: ", argv[optind]);
	if (optind + 1 < argc)
		return usage("unexpected argument: ", argv[optind + 1]);
	return help ? help_command(command) : command->run(&options);
}
