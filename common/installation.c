/* SPDX-License-Identifier: Apache-2.0 */
#include "common/installation.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOADER  "/conntrace-loader"
#define OBJECTS "/share" /* beside bin/ in a build tree */

int installation_find(struct installation *installation)
{
	char self[PATH_MAX], loader[PATH_MAX + sizeof(LOADER)];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - sizeof(OBJECTS));

	if (len < 0)
		return -errno;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(loader, sizeof(loader), "%s" LOADER, self);
	if (access(loader, F_OK) < 0) {
		*installation = (struct installation){
			.supervisor = SBINDIR, .programs = LIBEXECDIR, .objects = OBJECTDIR};
		return 0;
	}
	memcpy(installation->supervisor, self, sizeof(self));
	memcpy(installation->programs, self, sizeof(self));
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	len = snprintf(installation->objects, sizeof(installation->objects), "%s" OBJECTS, self);
	return len < (ssize_t)sizeof(installation->objects) ? 0 : -ENAMETOOLONG;
}

int installation_user(uid_t *uid, gid_t *gid)
{
	static const char *const names[] = {"conntrace", "nobody"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct passwd *user = getpwnam(names[i]);

		if (!user)
			continue;
		*uid = user->pw_uid;
		*gid = user->pw_gid;
		return 0;
	}
	return -ENOENT;
}
