/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "common/privs.h"
#include "loader/object.h"

static const struct {
	enum doctor_file_kind kind;
	const char *name;
} programs_of[] = {
	{DOCTOR_LOADER, "conntrace-loader"},
	{DOCTOR_CHILD, "conntrace-exporter"},
	{DOCTOR_CHILD, "conntrace-poller"},
	{DOCTOR_CHILD, "conntrace-verifier"},
};

static uint64_t bits_of(cap_t caps, cap_flag_t flag)
{
	uint64_t bits = 0;

	for (int n = 0; n < cap_max_bits() && n < 64; n++) {
		cap_flag_value_t set = CAP_CLEAR;

		if (cap_get_flag(caps, n, flag, &set) == 0 && set == CAP_SET)
			bits |= PRIVS_CAP(n);
	}
	return bits;
}

/* The attribute may be read by anyone who can reach the file. */
static void look_at_capabilities(struct doctor_file *file)
{
	cap_t caps = cap_get_file(file->path);

	if (!caps)
		return;
	file->permitted = bits_of(caps, CAP_PERMITTED);
	file->inheritable = bits_of(caps, CAP_INHERITABLE);
	file->effective = bits_of(caps, CAP_EFFECTIVE) != 0;
	cap_free(caps);
}

static void look_at_object(struct doctor_file *file)
{
	struct object object;
	char *slash = strrchr(file->path, '/');
	int dir;

	*slash = '\0';
	dir = open(file->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*slash = '/';
	file->object_err = object_open(&object, dir, slash + 1, OBJECT_BYTES_MAX, file->object_why,
				       sizeof(file->object_why));
	if (!file->object_err)
		object_close(&object);
	if (dir >= 0)
		close(dir);
}

static void look_at(struct doctor_file *file)
{
	struct statvfs mount;
	struct stat st;

	if (file->kind == DOCTOR_OBJECT)
		look_at_object(file);
	/* A directory is opened as conntraced opens it; a program is executed, whatever it is. */
	if (fstatat(AT_FDCWD, file->path, &st,
		    file->kind == DOCTOR_OBJECT ? AT_SYMLINK_NOFOLLOW : 0) < 0) {
		file->err = errno;
		return;
	}
	file->mode = st.st_mode;
	file->uid = st.st_uid;
	file->gid = st.st_gid;
	doctor_name_user(st.st_uid, file->owner);
	doctor_name_group(st.st_gid, file->group);
	file->mine = access(file->path, X_OK) == 0;
	look_at_capabilities(file);
	if (statvfs(file->path, &mount) < 0)
		return;
	file->nosuid = (mount.f_flag & ST_NOSUID) != 0;
	file->noexec = (mount.f_flag & ST_NOEXEC) != 0;
}

static void __attribute__((format(printf, 4, 5)))
add(struct doctor *doctor, enum doctor_file_kind kind, enum config_tracer tracer,
    const char *format, ...)
{
	struct doctor_file *file = &doctor->files[doctor->file_count++];
	va_list args;

	*file = (struct doctor_file){.kind = kind, .tracer = tracer};
	va_start(args, format);
	vsnprintf(file->path, sizeof(file->path), format, args);
	va_end(args);
	look_at(file);
}

void doctor_look_at_files(struct doctor *doctor, const struct installation *installation)
{
	const char *programs = installation->programs, *objects = installation->objects;

	doctor->file_count = 0;
	add(doctor, DOCTOR_PROGRAMS, TRACER_AUTO, "%s", programs);
	add(doctor, DOCTOR_OBJECTS, TRACER_AUTO, "%s", objects);
	add(doctor, DOCTOR_SUPERVISOR, TRACER_AUTO, "%s/conntraced", installation->supervisor);
	for (size_t i = 0; i < sizeof(programs_of) / sizeof(programs_of[0]); i++)
		add(doctor, programs_of[i].kind, TRACER_AUTO, "%s/%s", programs,
		    programs_of[i].name);
	for (int i = TRACER_AUTO + 1; i < TRACER_COUNT; i++)
		add(doctor, DOCTOR_OBJECT, (enum config_tracer)i, "%s/%s", objects,
		    tracer_type((enum config_tracer)i)->object);
}
