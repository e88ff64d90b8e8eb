/* SPDX-License-Identifier: Apache-2.0 */
/* conntraced's command line. */
#ifndef SUPERVISOR_OPTIONS_H
#define SUPERVISOR_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

struct options {
	const char *config;    /* path */
	const char *socket;    /* path; NULL = the default place */
	const char *user;      /* NAME[:GROUP] or numbers; NULL = conntrace, else nobody */
	const char *state_dir; /* path; NULL = none */
	bool check;            /* check the configuration and exit */
	bool verbose;
	bool upgrade; /* tell the one that runs to execute what is installed */
	char **argv;  /* as given, ends with NULL */
};

/* More arguments than these make no sense, and are refused. */
#define OPTIONS_ARGS_MAX 32

/*
 * Parse the command line into *options. Returns -1 to go on, else the exit code to end with
 * (--help, --version, or a usage error, which has been printed).
 */
int options_parse(struct options *options, int argc, char **argv);

/* The ids to become when started as root. Returns 0, or -1 after printing what is wrong. */
int options_user(const struct options *options, uid_t *uid, gid_t *gid);

#endif
