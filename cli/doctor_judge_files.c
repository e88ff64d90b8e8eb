/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor.h"
#include "common/privs.h"

static void __attribute__((format(printf, 3, 0)))
append(char *text, size_t cap, const char *format, va_list args)
{
	size_t at = strlen(text);

	if (at)
		snprintf(text + at, cap - at, "; ");
	at = strlen(text);
	vsnprintf(text + at, cap - at, format, args);
}

/* Several things may be wrong with a file: each weighs, and has its place in the sentence. */
static void __attribute__((format(printf, 3, 4)))
blame(struct doctor_file *file, enum doctor_verdict weight, const char *format, ...)
{
	struct doctor_finding *finding = &file->finding;
	va_list args;

	if (weight > finding->weight)
		finding->weight = weight;
	va_start(args, format);
	append(finding->what, sizeof(finding->what), format, args);
	va_end(args);
}

/* What puts it right; several remedies are to be taken in this order. */
static void __attribute__((format(printf, 2, 3)))
advise(struct doctor_file *file, const char *format, ...)
{
	struct doctor_finding *finding = &file->finding;
	va_list args;

	va_start(args, format);
	append(finding->remedy, sizeof(finding->remedy), format, args);
	va_end(args);
}

/* Whether who has these ids may execute it, by its mode. */
static bool lets_execute(const struct doctor_file *file, uid_t uid, gid_t gid)
{
	if (uid == file->uid)
		return file->mode & S_IXUSR;
	return file->mode & (gid == file->gid ? S_IXGRP : S_IXOTH);
}

/*
 * Whether conntraced may execute the program or enter the directory: as the user it becomes when
 * root starts it (if there is none, that has been told); or as this one, who may be about to.
 */
static bool conntraced_may(const struct doctor *doctor, const struct doctor_file *file)
{
	const struct doctor_user *user = &doctor->user;

	if (!doctor->self.root && file->mine)
		return true;
	return user->known ? lets_execute(file, user->uid, user->gid) : doctor->self.root;
}

static void judge_directory(const struct doctor *doctor, struct doctor_file *file)
{
	if (!S_ISDIR(file->mode)) {
		blame(file, DOCTOR_CANNOT, "is not a directory");
		advise(file, "install conntrace");
	} else if (!conntraced_may(doctor, file)) {
		blame(file, DOCTOR_CANNOT, "can't be entered by the user conntraced runs as");
		advise(file, "chmod a+x %s", file->path);
	}
}

/* What matters for every program. Returns whether there is more to look at. */
static bool judge_program(struct doctor_file *file)
{
	if (!S_ISREG(file->mode)) {
		blame(file, DOCTOR_CANNOT, "is not a regular file");
		advise(file, "install conntrace");
		return false;
	}
	if (file->noexec) {
		blame(file, DOCTOR_CANNOT, "is on a file system that is mounted noexec");
		advise(file, "install it elsewhere, or mount that without noexec");
	}
	return true;
}

/*
 * What conntraced leaves in its bounding set: what the loader needs, and what its file has of what
 * it may have besides.
 */
static uint64_t bounded(const struct doctor *doctor)
{
	uint64_t caps = PRIVS_LOADER;

	for (uint32_t i = 0; i < doctor->file_count; i++)
		if (doctor->files[i].kind == DOCTOR_LOADER)
			caps |= doctor->files[i].permitted & PRIVS_NAT;
	return caps;
}

/*
 * What capabilities do that a file must not have. A child refuses to run with any; but nothing is
 * left of those that are not in conntraced's bounding set, or, if the file has them effective, the
 * program can't be executed: capabilities(7).
 */
static enum doctor_verdict weigh_capabilities(const struct doctor *doctor,
					      const struct doctor_file *file, uint64_t extra)
{
	uint64_t bound = bounded(doctor);

	if (file->kind == DOCTOR_SUPERVISOR)
		return DOCTOR_DEGRADED;
	if (file->effective && (file->permitted & ~bound))
		return DOCTOR_CANNOT;
	return file->permitted & extra & bound ? DOCTOR_CANNOT : DOCTOR_DEGRADED;
}

/* A program that has no capability. */
static void judge_bare(const struct doctor *doctor, struct doctor_file *file)
{
	enum doctor_verdict weight =
		file->kind == DOCTOR_SUPERVISOR ? DOCTOR_DEGRADED : DOCTOR_CANNOT;
	uint64_t caps = file->permitted | file->inheritable;
	char names[1024];

	if (!judge_program(file))
		return;
	if (file->kind != DOCTOR_SUPERVISOR && !conntraced_may(doctor, file)) {
		blame(file, DOCTOR_CANNOT, "can't be executed by the user conntraced runs as");
		advise(file, "chmod a+rx %s", file->path);
	}
	if (file->mode & (S_ISUID | S_ISGID)) {
		blame(file, weight, "is setuid or setgid");
		advise(file, "chmod u-s,g-s %s", file->path);
	}
	if (file->mode & S_IWOTH) {
		blame(file, DOCTOR_DEGRADED, "can be written by everyone");
		advise(file, "chmod o-w %s", file->path);
	}
	if (!caps)
		return;
	privs_caps_text(caps, names, sizeof(names));
	blame(file, weigh_capabilities(doctor, file, caps),
	      "has capabilities that it must not have: %.600s", names);
	advise(file, "setcap -r %s", file->path);
}

/* --- the loader --- */

/*
 * Returns whether they are what they should be: these two, permitted, and nothing else but the one
 * that it may have.
 */
static bool judge_capabilities(const struct doctor *doctor, struct doctor_file *file)
{
	const uint64_t may = PRIVS_LOADER | PRIVS_NAT;
	uint64_t missing = PRIVS_LOADER & ~file->permitted;
	uint64_t extra = (file->permitted | file->inheritable) & ~may;
	bool no_nat = doctor->nat && !(file->permitted & PRIVS_NAT);
	char names[1024];

	if (missing) {
		privs_caps_text(missing, names, sizeof(names));
		blame(file, DOCTOR_CANNOT, "lacks %.600s", names);
	}
	if (extra) {
		privs_caps_text(extra, names, sizeof(names));
		blame(file, weigh_capabilities(doctor, file, extra),
		      "has capabilities that it must not have: %.600s", names);
	}
	if (no_nat) {
		privs_caps_text(PRIVS_NAT, names, sizeof(names));
		blame(file, DOCTOR_DEGRADED, "lacks %.600s, which nat needs", names);
	}
	if (missing || extra || no_nat)
		return false;
	if (file->effective || file->inheritable)
		blame(file, DOCTOR_DEGRADED, "has its capabilities not as permitted ones alone");
	return !file->effective && !file->inheritable;
}

/* Returns whether the mode is as it should be. */
static bool judge_mode(struct doctor_file *file)
{
	if (file->mode & (S_ISUID | S_ISGID))
		blame(file, DOCTOR_CANNOT, "is setuid or setgid");
	if (file->mode & (S_IWGRP | S_IWOTH))
		blame(file, DOCTOR_DEGRADED, "can be written by others than root");
	if (file->mode & S_IXOTH)
		blame(file, DOCTOR_DEGRADED, "can be executed by everyone");
	return !(file->mode & (S_ISUID | S_ISGID | S_IWGRP | S_IWOTH | S_IXOTH));
}

static void judge_loader(const struct doctor *doctor, struct doctor_file *file)
{
	const struct doctor_user *user = &doctor->user;
	bool executable = conntraced_may(doctor, file), owner = file->uid == 0;
	bool mode, caps;

	if (!judge_program(file))
		return;
	if (file->nosuid) {
		blame(file, DOCTOR_CANNOT,
		      "is on a file system that is mounted nosuid, where capabilities of files "
		      "have no effect");
		advise(file, "install it elsewhere, or mount that without nosuid");
	}
	if (!executable)
		blame(file, DOCTOR_CANNOT, "can't be executed by the user conntraced runs as");
	if (!owner)
		blame(file, DOCTOR_DEGRADED, "belongs to %s", file->owner);
	mode = judge_mode(file);
	caps = judge_capabilities(doctor, file);
	/* In this order: a change of owner takes the capabilities away. */
	owner = owner && executable;
	if (!owner)
		advise(file, "chown root:%s %s", user->known ? user->group : "GROUP", file->path);
	if (!owner || !mode)
		advise(file, "chmod 0750 %s", file->path);
	if (!owner || !caps)
		advise(file, "%s %s",
		       doctor->nat || (file->permitted & PRIVS_NAT) ? PRIVS_LOADER_NAT_SETCAP
								    : PRIVS_LOADER_SETCAP,
		       file->path);
}

/* --- the objects --- */

/* The loader's sentence without the file's name before and the remedy behind it. */
static void blame_object(struct doctor_file *file, enum doctor_verdict weight)
{
	const char *name = strrchr(file->path, '/') + 1;
	const char *words = file->object_why, *cut = NULL;

	if (strncmp(words, name, strlen(name)) == 0 && words[strlen(name)] == ' ')
		words += strlen(name) + 1;
	for (const char *at = strstr(words, ": "); at; at = strstr(at + 1, ": "))
		cut = at;
	blame(file, weight, "%.*s", cut ? (int)(cut - words) : (int)strlen(words), words);
}

static void judge_object(const struct doctor *doctor, struct doctor_file *file)
{
	enum doctor_verdict weight =
		file->tracer == doctor->chosen ? DOCTOR_CANNOT : DOCTOR_DEGRADED;
	bool known = S_ISREG(file->mode);

	if (file->object_err == -EPERM || file->object_err == -ENOENT ||
	    file->object_err == -ELOOP || file->object_err == -EACCES)
		blame_object(file, weight);
	else if (file->object_err)
		blame(file, weight, "can't be used: %.600s", file->object_why);
	else if (!(file->mode & S_IROTH))
		blame(file, weight, "can't be read by the user conntraced runs as");
	else
		return;
	if (known && (file->uid != 0 || file->gid != 0))
		advise(file, "chown root:root %s", file->path);
	if (known && (file->mode & (S_IWGRP | S_IWOTH)))
		advise(file, "chmod go-w %s", file->path);
	if (known && !(file->mode & S_IROTH))
		advise(file, "chmod a+r %s", file->path);
	if (!file->finding.remedy[0])
		advise(file, "install conntrace");
}

/* --- all of them --- */

static void judge_file(const struct doctor *doctor, struct doctor_file *file)
{
	bool other_object = file->kind == DOCTOR_OBJECT && file->tracer != doctor->chosen;

	file->finding = (struct doctor_finding){.weight = DOCTOR_WELL};
	if (file->err == ENOENT || file->err == ENOTDIR) {
		blame(file, other_object ? DOCTOR_DEGRADED : DOCTOR_CANNOT, "is missing");
		advise(file, "install conntrace");
		return;
	}
	if (file->err) {
		blame(file, DOCTOR_WELL, "can't be looked at: %s", strerror(file->err));
		advise(file, "run conntrace doctor as root");
		return;
	}
	switch (file->kind) {
	case DOCTOR_PROGRAMS:
	case DOCTOR_OBJECTS:
		judge_directory(doctor, file);
		break;
	case DOCTOR_SUPERVISOR:
	case DOCTOR_CHILD:
		judge_bare(doctor, file);
		break;
	case DOCTOR_LOADER:
		judge_loader(doctor, file);
		break;
	case DOCTOR_OBJECT:
		judge_object(doctor, file);
		break;
	}
}

/* Where a directory is not there, what should be in it need not be told as well. */
static bool is_in_what_is_missing(const struct doctor *doctor, const struct doctor_file *file)
{
	enum doctor_file_kind directory =
		file->kind == DOCTOR_OBJECT ? DOCTOR_OBJECTS : DOCTOR_PROGRAMS;

	if (file->kind == DOCTOR_SUPERVISOR || file->kind == directory)
		return false;
	for (uint32_t i = 0; i < doctor->file_count; i++)
		if (doctor->files[i].kind == directory)
			return doctor->files[i].err || !S_ISDIR(doctor->files[i].mode);
	return false;
}

void doctor_judge_files(struct doctor *doctor)
{
	for (uint32_t i = 0; i < doctor->file_count; i++) {
		struct doctor_file *file = &doctor->files[i];
		const struct doctor_finding *finding = &file->finding;

		judge_file(doctor, file);
		doctor->assumed |= file->err && file->finding.weight == DOCTOR_WELL;
		if (finding->what[0] && !is_in_what_is_missing(doctor, file))
			doctor_find(&doctor->problems, finding->weight, finding->remedy,
				    "%.600s %.400s", file->path, finding->what);
	}
}
