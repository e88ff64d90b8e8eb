/* SPDX-License-Identifier: Apache-2.0 */
/* conntrace metrics: ask as status does, print or put into a file. */
#include "cli/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/safe.h"
#include "common/wholefile.h"

/* For whoever scrapes, who is somebody else. */
#define FILE_MODE 0644

/* The directory that a path is in, opened; *name: the rest. Returns the fd or a negative errno. */
static int open_directory(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0;
	char directory[PATH_MAX] = ".";
	int fd;

	*name = path + len;
	if (!**name)
		return -EISDIR;
	if (len >= sizeof(directory))
		return -ENAMETOOLONG;
	if (len) {
		memcpy(directory, path, len);
		directory[len] = '\0';
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Returns 0 or a negative errno; -EWOULDBLOCK: another one writes there now. */
static int write_file(const char *path, const char *text, size_t len)
{
	const char *name;
	int fd = open_directory(path, &name);
	int err;

	if (fd < 0)
		return fd;
	/* Two of them would write into one temporary file. */
	err = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	if (!err) {
		/* What a umask takes away the reader lacks. */
		umask(0);
		err = wholefile_write(fd, name, text, len, FILE_MODE);
	}
	close(fd);
	return err;
}

static int print(const char *text, size_t len)
{
	return fwrite(text, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : -EIO;
}

int cli_metrics(const struct cli_options *options)
{
	static struct status status;
	static char text[METRICS_MAX];
	const char *path = options->output;
	int code = status_ask(&status, "metrics", options->socket);
	int len, err;

	if (code)
		return code;
	len = metrics_write(&status, text, sizeof(text));
	if (len < 0)
		err = len;
	else
		err = path ? write_file(path, text, (size_t)len) : print(text, (size_t)len);
	if (err)
		fprintf(stderr, "conntrace: metrics: %s: %s\n",
			path ? safe(path) : "standard output",
			err == -EWOULDBLOCK ? "another one is writing into this directory"
					    : strerror(-err));
	return err ? CLI_FAILED : CLI_OK;
}
