/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace-tuf: reads a TUF repository by the calling convention of its conformance tests. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "tuf/client.h"
#include "tuf/fetch.h"
#include "tuf/metadata.h"
#include "tuf/tuf.h"

#define TARGETS_MAX       64u
#define TIMEOUT_DEFAULT_S 30u

static const char help[] =
	"usage: conntrace-tuf --metadata-dir DIR init ROOTFILE\n"
	"       conntrace-tuf --metadata-dir DIR --metadata-url URL refresh\n"
	"       conntrace-tuf --metadata-dir DIR --metadata-url URL --target-dir DIR\n"
	"                     --target-base-url URL --target-name NAME... download\n"
	"\n"
	"Reads signed files from a TUF repository, and nothing of it that doesn't verify.\n"
	"\n"
	"  init      trust a root file that came by a safe way; makes no request\n"
	"  refresh   bring root, timestamp, snapshot and targets in DIR up to date\n"
	"  download  refresh, then get targets; ends with the first that can't be had\n"
	"\n"
	"  --metadata-dir DIR     where what was verified is kept; made if it isn't there\n"
	"  --metadata-url URL     https://HOST/PATH or file:///PATH of the metadata\n"
	"  --target-dir DIR       where targets are put: each as one file, / in a name as %2F\n"
	"  --target-base-url URL  https://HOST/PATH or file:///PATH of the targets\n"
	"  --target-name NAME     a target, such as group/web.yaml; up to 64 times\n"
	"  --ca-file FILE         certificates to trust instead of the system's\n"
	"  --timeout SECONDS      for one request, 1 to 600 (30); all together ten times that\n"
	"  --any-keyid            take keyids as they are named, not as the hash of their key\n"
	"  --help                 print this\n"
	"  --version              print the version\n"
	"\n"
	"exit: 0 done; 1 failed, or wrong usage\n";
_Static_assert(TARGETS_MAX == 64 && TIMEOUT_DEFAULT_S == 30 && FETCH_TIMEOUT_MAX == 600,
	       "numbers in help");

enum {
	OPTION_METADATA_DIR = 'd',
	OPTION_METADATA_URL = 'u',
	OPTION_TARGET_DIR = 'D',
	OPTION_TARGET_BASE_URL = 'U',
	OPTION_TARGET_NAME = 'n',
	OPTION_CA_FILE = 'c',
	OPTION_TIMEOUT = 't',
	OPTION_ANY_KEYID = 'k',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
};

static const struct option longs[] = {
	{"metadata-dir", required_argument, NULL, OPTION_METADATA_DIR},
	{"metadata-url", required_argument, NULL, OPTION_METADATA_URL},
	{"target-dir", required_argument, NULL, OPTION_TARGET_DIR},
	{"target-base-url", required_argument, NULL, OPTION_TARGET_BASE_URL},
	{"target-name", required_argument, NULL, OPTION_TARGET_NAME},
	{"ca-file", required_argument, NULL, OPTION_CA_FILE},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"any-keyid", no_argument, NULL, OPTION_ANY_KEYID},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static int usage(const char *what, const char *word)
{
	log_error("%s%s: see conntrace-tuf --help", what, word);
	return EXIT_FAILURE;
}

static int run_init(const struct client_options *options, const char *argument)
{
	return client_init(options, argument);
}

static int run_refresh(const struct client_options *options, const char *argument)
{
	(void)argument;
	return client_refresh(options);
}

static int run_download(const struct client_options *options, const char *argument)
{
	(void)argument;
	return client_download(options);
}

static const struct command {
	const char *name;
	int (*run)(const struct client_options *options, const char *argument);
	int arguments;
	bool needs_url, needs_targets;
} commands[] = {
	{"init", run_init, 1, false, false},
	{"refresh", run_refresh, 0, true, false},
	{"download", run_download, 0, true, true},
};

/* The command line, taken apart. */
struct request {
	struct client_options options;
	const char *targets[TARGETS_MAX];
	bool help, version;
};

static int take_timeout(struct request *request, const char *text)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (*end || end == text || seconds < 1 || seconds > FETCH_TIMEOUT_MAX)
		return usage("--timeout: not a number from 1 to 600: ", text);
	request->options.timeout_s = (uint32_t)seconds;
	return 0;
}

static int take_target(struct request *request, const char *name)
{
	if (request->options.target_count == TARGETS_MAX)
		return usage("more than 64 targets, from ", name);
	request->targets[request->options.target_count++] = name;
	return 0;
}

/* Returns 0, or an exit code after telling what is wrong. */
static int take_option(struct request *request, int c, char **argv)
{
	switch (c) {
	case OPTION_METADATA_DIR:
		request->options.metadata_dir = optarg;
		return 0;
	case OPTION_METADATA_URL:
		request->options.metadata_url = optarg;
		return 0;
	case OPTION_TARGET_DIR:
		request->options.target_dir = optarg;
		return 0;
	case OPTION_TARGET_BASE_URL:
		request->options.target_base_url = optarg;
		return 0;
	case OPTION_TARGET_NAME:
		return take_target(request, optarg);
	case OPTION_CA_FILE:
		request->options.ca_file = optarg;
		return 0;
	case OPTION_TIMEOUT:
		return take_timeout(request, optarg);
	case OPTION_ANY_KEYID:
		request->options.lenience |= TUF_ANY_KEYID;
		return 0;
	case OPTION_HELP:
		request->help = true;
		return 0;
	case OPTION_VERSION:
		request->version = true;
		return 0;
	default:
		return usage(c == ':' ? "option needs a value: " : "unknown option: ",
			     argv[optind - 1]);
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* NULL, or what the command lacks. */
static const char *missing(const struct command *command, const struct client_options *options)
{
	if (!options->metadata_dir)
		return "--metadata-dir";
	if (command->needs_url && !options->metadata_url)
		return "--metadata-url";
	if (command->needs_targets && !options->target_dir)
		return "--target-dir";
	if (command->needs_targets && !options->target_base_url)
		return "--target-base-url";
	return command->needs_targets && !options->target_count ? "--target-name" : NULL;
}

static int run(const struct request *request, int argc, char **argv)
{
	const struct command *command = optind < argc ? find_command(argv[optind]) : NULL;
	const char *lacks;

	if (!command)
		return usage(optind < argc ? "unknown command: " : "no command given",
			     optind < argc ? argv[optind] : "");
	lacks = missing(command, &request->options);
	if (lacks)
		return usage("missing: ", lacks);
	if (argc - optind - 1 != command->arguments)
		return usage(command->arguments ? "needs one file: " : "takes no argument: ",
			     command->name);
	if (tuf_process_init() < 0) {
		log_error("OpenSSL can't be started");
		return EXIT_FAILURE;
	}
	return command->run(&request->options, argv[optind + 1]) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct request request = {.options = {.timeout_s = TIMEOUT_DEFAULT_S}};
	int c, code = 0;

	log_init("conntrace-tuf", LOG_LEVEL_INFO);
	request.options.targets = request.targets;
	opterr = 0;
	while (!code && (c = getopt_long(argc, argv, ":", longs, NULL)) != -1)
		code = take_option(&request, c, argv);
	if (code)
		return code;
	if (request.help || request.version)
		return fputs(request.help ? help : "conntrace-tuf " VERSION "\n", stdout) < 0
			       ? EXIT_FAILURE
			       : EXIT_SUCCESS;
	return run(&request, argc, argv);
}
