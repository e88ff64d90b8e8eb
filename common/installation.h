/* SPDX-License-Identifier: Apache-2.0 */
/* Where conntrace's programs and BPF objects are, and as whom conntraced runs them. */
#ifndef COMMON_INSTALLATION_H
#define COMMON_INSTALLATION_H

#include <limits.h>
#include <sys/types.h>

#ifndef SBINDIR
#define SBINDIR "/usr/sbin"
#endif
#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/libexec/conntrace"
#endif
#ifndef OBJECTDIR
#define OBJECTDIR "/usr/lib/conntrace"
#endif

struct installation {
	char supervisor[PATH_MAX]; /* directory of conntraced */
	char programs[PATH_MAX];   /* of the children's programs */
	char objects[PATH_MAX];    /* of the BPF objects */
};

/*
 * Beside this program, if the loader is there (a build tree); else where make install puts them.
 * Not looked at whether they are. Returns 0, or a negative errno if this program's path can't be
 * told.
 */
int installation_find(struct installation *installation);

/*
 * Whom conntraced becomes when root starts it and names nobody: the user conntrace, else nobody.
 * Returns 0, or -ENOENT if there is neither.
 */
int installation_user(uid_t *uid, gid_t *gid);

#endif
