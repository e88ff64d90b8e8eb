/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/options.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/installation.h"
#include "common/seccomp.h"

#define DEFAULT_CONFIG "/etc/conntrace/conntrace.yaml"
#define DEFAULT_STATE  "/var/lib/conntrace"

static const char help[] =
	"usage: conntraced [--config FILE] [--socket PATH] [--user NAME[:GROUP]]\n"
	"                  [--state-dir DIR] [--check]\n"
	"       conntraced --upgrade [--socket PATH]\n"
	"\n"
	"Trace every TCP connection of this host. Runs in the foreground; gives root up before it\n"
	"starts anything.\n"
	"\n"
	"  -c, --config FILE        configuration (" DEFAULT_CONFIG ")\n"
	"  -s, --socket PATH        control socket (/run/conntrace/control.sock; without root\n"
	"                           $XDG_RUNTIME_DIR/conntrace/control.sock)\n"
	"  -S, --state-dir DIR      where signed configuration is kept over a restart\n"
	"                           ($STATE_DIRECTORY, else " DEFAULT_STATE " if it is there)\n"
	"  -u, --user NAME[:GROUP]  whom to become when started as root (conntrace, else nobody)\n"
	"  -C, --check              check the configuration, print what is wrong, exit\n"
	"  -U, --upgrade            tell the conntraced that runs to go on as the one that is\n"
	"                           installed now, wait until that traces, exit\n"
	"  -v, --verbose            log more\n"
	"  -L, --log-forbidden      only log system calls that the children would be killed for;\n"
	"                           in a debug build (make DEBUG=1) alone\n"
	"  -h, --help               print this\n"
	"  -V, --version            print the version\n"
	"\n"
	"SIGHUP reads the configuration again and reopens the output; SIGTERM and SIGINT stop;\n"
	"SIGUSR2 upgrades: no connection is lost, the pid stays.\n"
	"exit: 0 stopped as told, 64 usage, 66 a file that is needed isn't there, 69 another\n"
	"      conntraced runs, or a child was given up on, 70 software error, 71 system error,\n"
	"      73 output can't be created, 75 no answer to --upgrade, 77 a privilege is missing,\n"
	"      78 configuration\n";

static const struct option longs[] = {
	{"config", required_argument, NULL, 'c'},
	{"socket", required_argument, NULL, 's'},
	{"state-dir", required_argument, NULL, 'S'},
	{"user", required_argument, NULL, 'u'},
	{"check", no_argument, NULL, 'C'},
	{"upgrade", no_argument, NULL, 'U'},
	{"verbose", no_argument, NULL, 'v'},
	{"log-forbidden", no_argument, NULL, 'L'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

/* A service manager names the one that it made; it may name several, of which the first is ours. */
static const char *default_state(void)
{
	static char first[PATH_MAX];
	const char *named = getenv("STATE_DIRECTORY");

	if (!named || !named[0])
		return access(DEFAULT_STATE, F_OK) == 0 ? DEFAULT_STATE : NULL;
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(named, ":"), named);
	return first;
}

/* Children learn it by the environment. */
static int log_forbidden(void)
{
#if defined(CONNTRACE_DEBUG)
	return setenv(SECCOMP_LOG_VARIABLE, "1", 1);
#else
	fputs("conntraced: --log-forbidden: this is a release build, whose children are killed for "
	      "what is forbidden: make DEBUG=1\n",
	      stderr);
	return -1;
#endif
}

int options_parse(struct options *options, int argc, char **argv)
{
	int c;

	*options = (struct options){.config = DEFAULT_CONFIG, .argv = argv};
	if (argc > OPTIONS_ARGS_MAX) {
		fputs("conntraced: too many arguments\n", stderr);
		return EX_USAGE;
	}
	while ((c = getopt_long(argc, argv, "c:s:S:u:CUvLhV", longs, NULL)) >= 0) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'S':
			options->state_dir = optarg;
			break;
		case 'u':
			options->user = optarg;
			break;
		case 'C':
			options->check = true;
			break;
		case 'U':
			options->upgrade = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'L':
			if (log_forbidden() < 0)
				return EX_USAGE;
			break;
		case 'h':
			fputs(help, stdout);
			return EX_OK;
		case 'V':
			puts("conntraced " VERSION);
			return EX_OK;
		default:
			fputs("try 'conntraced --help'\n", stderr);
			return EX_USAGE;
		}
	}
	if (!options->state_dir)
		options->state_dir = default_state();
	if (optind == argc)
		return -1;
	fprintf(stderr, "conntraced: unexpected argument '%s'\ntry 'conntraced --help'\n",
		argv[optind]);
	return EX_USAGE;
}

static int parse_id(const char *text, uid_t *id)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || end == text || *end || number > 0xfffffffeul)
		return -1;
	*id = (uid_t)number;
	return 0;
}

static int find_user(const char *name, uid_t *uid, gid_t *gid)
{
	const struct passwd *user = getpwnam(name);

	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
		return 0;
	}
	*gid = 0;
	if (parse_id(name, uid) < 0)
		return -1;
	*gid = *uid;
	return 0;
}

static int find_group(const char *name, gid_t *gid)
{
	const struct group *group = getgrnam(name);

	if (!group)
		return parse_id(name, gid);
	*gid = group->gr_gid;
	return 0;
}

int options_user(const struct options *options, uid_t *uid, gid_t *gid)
{
	char name[64];
	char *group;

	if (!options->user) {
		if (installation_user(uid, gid) == 0)
			return 0;
		fputs("conntraced: no user 'conntrace' or 'nobody': name one by --user\n", stderr);
		return -1;
	}
	if (snprintf(name, sizeof(name), "%s", options->user) >= (int)sizeof(name)) {
		fputs("conntraced: --user: name too long\n", stderr);
		return -1;
	}
	group = strchr(name, ':');
	if (group)
		*group++ = '\0';
	if (find_user(name, uid, gid) < 0 || (group && find_group(group, gid) < 0)) {
		fprintf(stderr, "conntraced: --user %s: no such user or group\n", options->user);
		return -1;
	}
	if (*uid == 0 || *gid == 0) {
		fprintf(stderr, "conntraced: --user %s: root is what it must not be\n",
			options->user);
		return -1;
	}
	return 0;
}
