/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace: asks conntraced; doctor asks the machine. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/client.h"
#include "common/log.h"

/* Which options a command has beside --help and --version. */
enum {
	TAKES_SOCKET = 1 << 0,
	TAKES_WHAT_IF = 1 << 1, /* --tracer, --instance, --nat */
	TAKES_SOURCE = 1 << 2,  /* --source */
	TAKES_FILE = 1 << 3,    /* an argument, which must be there */
	TAKES_JSON = 1 << 4,    /* --json */
	TAKES_OUTPUT = 1 << 5,  /* --output */
};

struct command {
	const char *name; /* one word, or two with a blank between them */
	int (*run)(const struct cli_options *options);
	unsigned int takes;
	const char *meaning;
	const char *help;
};

static const struct command commands[] = {
	{"doctor", cli_doctor, TAKES_JSON | TAKES_WHAT_IF,
	 "would it run here, how, and what to change",
	 "Looks at kernel, privileges, files and memory as conntraced and its loader would, says\n"
	 "which tracer would run, what is lost with it, and the remedy for each problem. Needs no\n"
	 "conntraced. Some things can only be tried with cap_bpf and cap_perfmon: run it as root;\n"
	 "otherwise it says what it could not try. It does not read the configuration: say by\n"
	 "--tracer, --instance and --nat what that says.\n"
	 "\n"
	 "Exit status: 0 all well, as far as could be tried; 1 degraded; 2 can't run (or wrong\n"
	 "usage, told on standard error alone).\n"},
	{"status", cli_status, TAKES_JSON | TAKES_SOCKET,
	 "processes, ladder, configuration, counters, account",
	 "Shows each process with what it may do, how tracing came up, the configuration\n"
	 "in force, the counters, and whether every connection is accounted for.\n"
	 "\n"
	 "Exit status: 0 tracing is up, 1 it isn't, 3 no conntraced answers.\n"},
	{"metrics", cli_metrics, TAKES_SOCKET | TAKES_OUTPUT,
	 "the numbers of status, for Prometheus",
	 "Prints what status says in numbers in Prometheus' text format, which node_exporter "
	 "reads\n"
	 "from the files of its textfile directory: write one there by --output, again and again.\n"
	 "If no conntraced answers the file stays as it was: look at its age.\n"
	 "\n"
	 "Exit status: 0 written, whether tracing is up or not; 1 it can't be written; 3 no\n"
	 "conntraced answers.\n"},
	{"list", cli_list, TAKES_JSON | TAKES_SOCKET, "the connections that are live now",
	 "Makes a snapshot of the live connections and prints one line for each.\n"
	 "With --json one JSON object per line, the fields as in the records.\n"
	 "\n"
	 "Exit status: 0 printed, 1 the list can't be had now, 3 no conntraced answers.\n"},
	{"tail", cli_tail, TAKES_JSON | TAKES_SOCKET, "the records as they come, until interrupted",
	 "Prints each record when it passes, until interrupted. Records that are not read\n"
	 "in time are left out and counted (ledger: clients_dropped).\n"
	 "\n"
	 "Exit status: 0 interrupted, 1 the records ended, 3 no conntraced answers.\n"},
	{"config show", cli_config_show, TAKES_JSON | TAKES_SOCKET,
	 "the configuration in force, and where each value comes from",
	 "Prints each key with its value and where that comes from: default, the local file, or\n"
	 "which file of the source.\n"
	 "\n"
	 "Exit status: 0 printed, 1 there is none yet, 3 no conntraced answers.\n"},
	{"config check", cli_config_check, TAKES_JSON | TAKES_FILE | TAKES_SOURCE,
	 "whether a configuration file is valid",
	 "Checks the file as conntraced --check does, by the same verifier, and prints every "
	 "error\n"
	 "with its line. Needs no conntraced that runs, and reads nothing but the file.\n"
	 "\n"
	 "Exit status: 0 valid, 1 it could not be checked, 66 the file can't be read, 78 "
	 "invalid.\n"},
	{"config history", cli_config_history, TAKES_JSON | TAKES_SOCKET,
	 "what became of the last configurations",
	 "Prints the last 16 verdicts with their time: applied, on probation, passed, refused, "
	 "rolled\n"
	 "back; whether of the local file or of what a source sent; the version in force "
	 "afterwards;\n"
	 "and the reason. They are those since conntraced was started, or upgraded.\n"
	 "\n"
	 "Exit status: 0 printed, 3 no conntraced answers.\n"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct option long_options[] = {
	{"json", no_argument, NULL, 'j'},           {"socket", required_argument, NULL, 's'},
	{"output", required_argument, NULL, 'f'},   {"tracer", required_argument, NULL, 't'},
	{"instance", required_argument, NULL, 'i'}, {"nat", no_argument, NULL, 'n'},
	{"source", no_argument, NULL, 'o'},         {"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},        {NULL, 0, NULL, 0},
};

/* The options in the order of their help. */
static const struct {
	unsigned int takes; /* 0 = every command has it */
	const char *usage;
	const char *help;
} option_help[] = {
	{TAKES_JSON, "[--json]", "  --json           JSON instead of text for people\n"},
	{TAKES_SOCKET, "[--socket PATH]",
	 "  --socket PATH    conntraced's control socket (default: $" CLIENT_SOCKET_ENV ",\n"
	 "                   else " CLIENT_SOCKET_DEFAULT ",\n"
	 "                   else $XDG_RUNTIME_DIR/" CLIENT_SOCKET_USER ")\n"},
	{TAKES_OUTPUT, "[--output FILE]",
	 "  --output FILE    metrics: replace FILE, in one step, in place of printing\n"},
	{TAKES_WHAT_IF, "[--tracer NAME]",
	 "  --tracer NAME    doctor: what if the configuration says so: auto (default), fentry,\n"
	 "                   kprobe, tracepoint\n"},
	{TAKES_WHAT_IF, "[--instance NAME]",
	 "  --instance NAME  doctor: likewise: auto (default), host, container, kubernetes, "
	 "ecs-ec2,\n"
	 "                   ecs-fargate, eks-fargate\n"},
	{TAKES_WHAT_IF, "[--nat]", "  --nat            doctor: likewise: nat: true\n"},
	{TAKES_SOURCE, "[--source]",
	 "  --source         config check: the file is one of a source, which may set less\n"},
	{0, NULL, "  --help           this text, or that of a command\n"},
	{0, NULL, "  --version        print the version\n"},
};

#define OPTIONS (sizeof(option_help) / sizeof(option_help[0]))

static void print_options(unsigned int takes)
{
	printf("Options:\n");
	for (size_t i = 0; i < OPTIONS; i++)
		if ((option_help[i].takes & ~takes) == 0)
			printf("%s", option_help[i].help);
}

static int help_all(void)
{
	printf("Usage: conntrace COMMAND [OPTION...]\n\nCommands:\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-15s %s%s\n", commands[i].name, commands[i].meaning,
		       commands[i].takes & TAKES_FILE ? ": FILE" : "");
	printf("\n");
	print_options(~0u);
	printf("\nExit status: 0 all well, 1 no, 2 wrong usage (doctor: or it can't run), 3 no\n"
	       "conntraced answers, 66 config check: the file can't be read, 78 it is invalid.\n");
	return CLI_OK;
}

static int help_command(const struct command *command)
{
	printf("Usage: conntrace %s", command->name);
	for (size_t i = 0; i < OPTIONS; i++)
		if (option_help[i].usage && (option_help[i].takes & ~command->takes) == 0)
			printf(" %s", option_help[i].usage);
	printf("%s\n\n%s\n", command->takes & TAKES_FILE ? " FILE" : "", command->help);
	print_options(command->takes);
	return CLI_OK;
}

static int usage(const char *what, const char *word)
{
	char text[128];

	log_escape(word, text, sizeof(text));
	fprintf(stderr, "conntrace: %s%s: see conntrace --help\n", what, text);
	return CLI_USAGE;
}

/* The command that the words begin with, and how many of them are its name. */
static const struct command *find_command(char **words, int count, int *used)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *name = commands[i].name, *blank = strchr(name, ' ');
		size_t len = blank ? (size_t)(blank - name) : strlen(name);

		*used = blank ? 2 : 1;
		if (count >= *used && strlen(words[0]) == len && memcmp(words[0], name, len) == 0 &&
		    (!blank || !strcmp(words[1], blank + 1)))
			return &commands[i];
	}
	return NULL;
}

/* The place of a word in a list that ends with NULL, -1 if it is not there. */
static int find_word(const char *const *words, const char *word)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

/* The command line, taken apart. */
struct request {
	struct cli_options options;
	unsigned int given; /* TAKES_ of the options there are */
	bool help, version;
	const struct command *command; /* NULL = none given */
};

/* Returns 0, or an exit code after telling what is wrong. */
static int take_option(struct request *request, int c)
{
	int at;

	switch (c) {
	case 'j':
		request->given |= TAKES_JSON;
		request->options.json = true;
		break;
	case 'h':
		request->help = true;
		break;
	case 'V':
		request->version = true;
		break;
	case 's':
		request->given |= TAKES_SOCKET;
		request->options.socket = optarg;
		break;
	case 'f':
		request->given |= TAKES_OUTPUT;
		request->options.output = optarg;
		break;
	case 't':
		request->given |= TAKES_WHAT_IF;
		at = find_word(config_tracers, optarg);
		if (at < 0)
			return usage("unknown tracer: ", optarg);
		request->options.tracer = (enum config_tracer)at;
		break;
	case 'i':
		request->given |= TAKES_WHAT_IF;
		at = find_word(config_instances, optarg);
		if (at < 0)
			return usage("unknown instance: ", optarg);
		request->options.instance = (enum config_instance)at;
		break;
	case 'n':
		request->given |= TAKES_WHAT_IF;
		request->options.nat = true;
		break;
	case 'o':
		request->given |= TAKES_SOURCE;
		request->options.as_source = true;
		break;
	default:
		return CLI_USAGE;
	}
	return 0;
}

/* The command, and what stands behind it. Returns 0, or an exit code after telling what is wrong.
 */
static int take_words(struct request *request, char **words, int count)
{
	int used;
	const struct command *command = find_command(words, count, &used);

	request->command = command;
	if (!command && strcmp(words[0], "config") == 0)
		return usage("config: show, check or history, not: ", count > 1 ? words[1] : "");
	if (!command)
		return usage("unknown command: ", words[0]);
	if (command->takes & TAKES_FILE && used < count)
		request->options.file = words[used++];
	else if (command->takes & TAKES_FILE && !request->help)
		return usage("no file given to ", command->name);
	if (used < count)
		return usage("unexpected argument: ", words[used]);
	return 0;
}

/* Options that the command does not have. */
static int refuse_options(unsigned int given, const char *command)
{
	static const struct {
		unsigned int takes;
		const char *what;
	} refused[] = {
		{TAKES_SOCKET, "--socket is not for the command "},
		{TAKES_SOURCE, "--source is not for the command "},
		{TAKES_OUTPUT, "--output is not for the command "},
		{TAKES_JSON, "--json is not for the command "},
		{TAKES_WHAT_IF, "--tracer, --instance and --nat are not for the command "},
	};
	size_t i = 0;

	while (!(refused[i].takes & given))
		i++;
	return usage(refused[i].what, command);
}

/* Returns 0, or an exit code after telling what is wrong. */
static int take_arguments(struct request *request, int argc, char **argv)
{
	int c, code = 0;

	opterr = 0;
	while (!code && !request->version &&
	       (c = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (c == ':' || c == '?')
			return usage(c == ':' ? "option needs a value: " : "unknown option: ",
				     argv[optind - 1]);
		code = take_option(request, c);
	}
	if (!code && !request->version && optind < argc)
		code = take_words(request, argv + optind, argc - optind);
	if (code || !request->command)
		return code;
	if (request->given & ~request->command->takes)
		return refuse_options(request->given & ~request->command->takes,
				      request->command->name);
	return 0;
}

int main(int argc, char **argv)
{
	struct request request = {.help = false};
	int code = take_arguments(&request, argc, argv);

	if (code)
		return code;
	if (request.version)
		return printf("conntrace " VERSION "\n") < 0 ? CLI_FAILED : CLI_OK;
	if (!request.command)
		return request.help ? help_all() : usage("no command given", "");
	return request.help ? help_command(request.command)
			    : request.command->run(&request.options);
}
