/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace-repo: publishes signed configuration. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "repo/repo.h"
#include "tuf/tuf.h"

#define NUMBER_MAX 36500u /* days; keys and thresholds have their own limit */

static const char help[] =
	"usage: conntrace-repo init DIR\n"
	"       conntrace-repo add DIR TARGET FILE [--role ROLE]\n"
	"       conntrace-repo remove DIR TARGET [--role ROLE]\n"
	"       conntrace-repo delegate DIR ROLE PATTERN... [--terminating]\n"
	"       conntrace-repo sign DIR ROLE\n"
	"       conntrace-repo sign --file FILE --key FILE...\n"
	"       conntrace-repo refresh DIR\n"
	"       conntrace-repo rotate-root DIR [--role ROLE | --keep]\n"
	"       conntrace-repo key FILE\n"
	"\n"
	"Publishes signed configuration: any web server, CDN or copied folder serves DIR/metadata\n"
	"and DIR/targets. DIR/keys is nobody else's.\n"
	"\n"
	"  init         make keys and an empty repository\n"
	"  add          sign FILE as TARGET: base.yaml, group/NAME.yaml or host/NAME.yaml\n"
	"  remove       sign that TARGET is no more\n"
	"  delegate     let ROLE sign the targets that match a PATTERN (* and ? within a part)\n"
	"  sign         add signatures to what waits in DIR/staged, or to a file elsewhere\n"
	"  refresh      sign timestamp, and snapshot if it is due, anew: from a timer\n"
	"  rotate-root  a new root: other keys for root or for ROLE, or only a later expiry\n"
	"  key          make a key pair: FILE, and FILE.pub for who delegates; prints the keyid\n"
	"\n"
	"  --key-dir DIR         more private keys (*.pem); new ones go into the first; up to 64\n"
	"  --key FILE            one more private key\n"
	"  --public-key FILE     delegate, rotate-root: this key, whose private half is elsewhere\n"
	"  --key-type TYPE       of new keys: ed25519 (default) or ecdsa (P-256)\n"
	"  --keys ROLE=N         how many new keys a role gets\n"
	"  --threshold ROLE=N    how many of them must sign (1)\n"
	"  --days ROLE=N         how long it is valid (root, targets 365; snapshot 30; timestamp "
	"7)\n"
	"  --role ROLE           whose targets (targets), or whose keys (root)\n"
	"  --keep                rotate-root: the same keys\n"
	"  --terminating         delegate: what matches is looked for in ROLE only\n"
	"  --no-consistent       init: no versions and hashes in the names of files\n"
	"  --help, --version\n"
	"\n"
	"exit: 0 published; 1 failed; 2 wrong usage; 3 done, but something waits for signatures\n"
	"      or for refresh\n";

enum {
	OPTION_KEY_DIR = 'D',
	OPTION_KEY = 'k',
	OPTION_PUBLIC_KEY = 'p',
	OPTION_KEY_TYPE = 't',
	OPTION_KEYS = 'n',
	OPTION_THRESHOLD = 'T',
	OPTION_DAYS = 'd',
	OPTION_ROLE = 'r',
	OPTION_FILE = 'f',
	OPTION_KEEP = 'K',
	OPTION_TERMINATING = 'e',
	OPTION_NO_CONSISTENT = 'c',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
};

static const struct option longs[] = {
	{"key-dir", required_argument, NULL, OPTION_KEY_DIR},
	{"key", required_argument, NULL, OPTION_KEY},
	{"public-key", required_argument, NULL, OPTION_PUBLIC_KEY},
	{"key-type", required_argument, NULL, OPTION_KEY_TYPE},
	{"keys", required_argument, NULL, OPTION_KEYS},
	{"threshold", required_argument, NULL, OPTION_THRESHOLD},
	{"days", required_argument, NULL, OPTION_DAYS},
	{"role", required_argument, NULL, OPTION_ROLE},
	{"file", required_argument, NULL, OPTION_FILE},
	{"keep", no_argument, NULL, OPTION_KEEP},
	{"terminating", no_argument, NULL, OPTION_TERMINATING},
	{"no-consistent", no_argument, NULL, OPTION_NO_CONSISTENT},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/* min, max: arguments behind the command, DIR included. */
static const struct command {
	const char *name;
	int (*run)(const struct repo_options *options);
	int min, max;
} commands[] = {
	{"init", repo_init, 1, 1},          {"add", repo_add, 3, 3},
	{"remove", repo_remove, 2, 2},      {"delegate", repo_delegate, 3, (int)REPO_LIST_MAX},
	{"sign", repo_sign, 0, 2},          {"refresh", repo_refresh_command, 1, 1},
	{"rotate-root", repo_rotate, 1, 1}, {"key", repo_key, 1, 1},
};

static int usage(const char *what, const char *word)
{
	log_error("%s%s: see conntrace-repo --help", what, word);
	return REPO_USAGE;
}

static int take_word(struct repo_words *words, const char *word)
{
	if (words->count == REPO_LIST_MAX)
		return usage("more than 64 of one kind, from ", word);
	words->list[words->count++] = word;
	return 0;
}
_Static_assert(REPO_LIST_MAX == 64, "numbers in texts");

static int take_number(struct repo_numbers *numbers, const char *text, uint32_t max)
{
	const char *equals = strchr(text, '=');
	struct repo_number *number = &numbers->list[numbers->count];
	size_t len = equals ? (size_t)(equals - text) : 0;
	unsigned long value;
	char *end;

	if (!equals || len >= REPO_ROLE_MAX || numbers->count == REPO_LIST_MAX)
		return usage("not ROLE=NUMBER, or too many of them: ", text);
	value = strtoul(equals + 1, &end, 10);
	snprintf(number->role, sizeof(number->role), "%.*s", (int)len, text);
	number->number = (uint32_t)value;
	numbers->count++;
	return *end || end == equals + 1 || value < 1 || value > max ||
			       !repo_is_role_name(number->role)
		       ? usage("not ROLE=NUMBER, or out of range: ", text)
		       : 0;
}

static int take_key_type(struct repo_options *options, const char *word)
{
	for (int type = 0; key_types[type]; type++) {
		if (strcmp(key_types[type], word) == 0) {
			options->key_type = (enum key_type)type;
			return 0;
		}
	}
	return usage("--key-type: neither ed25519 nor ecdsa: ", word);
}

/* Returns 0, or an exit code after telling what is wrong. */
static int take_option(struct repo_options *options, int c, const char *word)
{
	switch (c) {
	case OPTION_KEY_DIR:
		return take_word(&options->key_dirs, optarg);
	case OPTION_KEY:
		return take_word(&options->keys, optarg);
	case OPTION_PUBLIC_KEY:
		return take_word(&options->public_keys, optarg);
	case OPTION_KEY_TYPE:
		return take_key_type(options, optarg);
	case OPTION_KEYS:
		return take_number(&options->counts, optarg, TUF_KEYS_MAX);
	case OPTION_THRESHOLD:
		return take_number(&options->thresholds, optarg, TUF_KEYS_MAX);
	case OPTION_DAYS:
		return take_number(&options->days, optarg, NUMBER_MAX);
	case OPTION_ROLE:
		options->role = optarg;
		return 0;
	case OPTION_FILE:
		options->file = optarg;
		return 0;
	case OPTION_KEEP:
		options->keep = true;
		return 0;
	case OPTION_TERMINATING:
		options->terminating = true;
		return 0;
	case OPTION_NO_CONSISTENT:
		options->inconsistent = true;
		return 0;
	default:
		return usage(c == ':' ? "option needs a value: " : "unknown option: ", word);
	}
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int take_arguments(const struct command *command, struct repo_options *options, int count,
			  char **words)
{
	int code = 0;

	if (command->run == repo_sign && options->file)
		return count || !options->keys.count
			       ? usage("sign --file FILE needs --key FILE, and nothing else", "")
			       : 0;
	if (count < command->min || count > command->max ||
	    (command->run == repo_sign && count != 2))
		return usage("wrong number of arguments for ", command->name);
	options->dir = words[0];
	for (int i = 1; i < count && !code; i++)
		code = take_word(&options->arguments, words[i]);
	if (!code && options->role && !repo_is_role_name(options->role))
		code = usage("--role: a to z, digits, - and _: ", options->role);
	return code;
}

static int run(struct repo_options *options, int argc, char **argv)
{
	const struct command *command = optind < argc ? find_command(argv[optind]) : NULL;
	int code;

	if (!command)
		return usage(optind < argc ? "unknown command: " : "no command given",
			     optind < argc ? argv[optind] : "");
	code = take_arguments(command, options, argc - optind - 1, argv + optind + 1);
	if (code)
		return code;
	if (tuf_process_init() < 0) {
		log_error("OpenSSL can't be started");
		return REPO_FAILED;
	}
	return command->run(options);
}

int main(int argc, char **argv)
{
	static struct repo_options options;
	int c, code = 0;

	log_init("conntrace-repo", LOG_LEVEL_INFO);
	opterr = 0;
	while (!code && (c = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		if (c == OPTION_HELP || c == OPTION_VERSION)
			return fputs(c == OPTION_HELP ? help : "conntrace-repo " VERSION "\n",
				     stdout) < 0
				       ? REPO_FAILED
				       : REPO_DONE;
		code = take_option(&options, c, argv[optind - 1]);
	}
	return code ? code : run(&options, argc, argv);
}
