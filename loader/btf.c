/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "loader/object.h"

#define OS_RELEASE_PATH "/etc/os-release"
#define OS_RELEASE_MAX  4096
#define BTF_BYTES_MAX   (64u << 20) /* an ELF vmlinux with debug information is larger: not that */
#define NAME_MAX_BYTES  192

static const char *const source_names[] = {
	[BTF_NAMED] = "named", [BTF_KERNEL] = "kernel", [BTF_ARCHIVE] = "archive"};

const char *btf_source_name(enum btf_source source)
{
	return source_names[source];
}

/* --- the running kernel's --- */

/* Something is there that is no BTF: libbpf would only say that it found none. */
static bool is_garbage(const char *path)
{
	struct btf_header header;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &header, sizeof(header));

	if (fd >= 0)
		close(fd);
	return fd >= 0 && !(n == sizeof(header) && header.magic == BTF_MAGIC);
}

/* --- the archive's and the named file's: read once, checked, given to libbpf as a memfd --- */

static int hold(struct btf_choice *choice, const struct object *file, char *what, size_t cap)
{
	size_t at = 0;

	choice->fd = memfd_create("btf", MFD_CLOEXEC);
	if (choice->fd < 0)
		return -errno;
	while (at < file->len) {
		ssize_t n = write(choice->fd, file->bytes + at, file->len - at);

		if (n < 0) {
			int err = -errno;

			snprintf(what, cap, "keep BTF in memory: %s", strerror(-err));
			return err;
		}
		at += (size_t)n;
	}
	snprintf(choice->path, sizeof(choice->path), "/proc/self/fd/%d", choice->fd);
	return 0;
}

static int take_file(struct btf_choice *choice, int dir_fd, const char *name, char *what,
		     size_t cap)
{
	struct object file;
	struct btf *parsed;
	int err = object_open(&file, dir_fd, name, BTF_BYTES_MAX, what, cap);

	if (err)
		return err;
	err = hold(choice, &file, what, cap);
	object_close(&file);
	if (err)
		return err;
	parsed = btf__parse(choice->path, NULL);
	if (!parsed) {
		err = -EINVAL;
		snprintf(what, cap, "%s: holds no BTF of this byte order", name);
	}
	btf__free(parsed);
	return err;
}

static int take_named(struct btf_choice *choice, const char *named, char *what, size_t cap)
{
	choice->source = BTF_NAMED;
	snprintf(choice->file, sizeof(choice->file), "%s", named);
	return take_file(choice, AT_FDCWD, named, what, cap);
}

/* --- the archive --- */

/*
 * The value behind "KEY=" at the beginning of a line, without quotes; "" if there is none. False if
 * it is too long for value.
 */
static bool os_release_value(const char *text, const char *key, char *value, size_t cap)
{
	size_t key_len = strlen(key);
	const char *line = text;

	value[0] = '\0';
	while (line && *line) {
		if (strncmp(line, key, key_len) == 0 && line[key_len] == '=') {
			const char *from = line + key_len + 1;

			from += *from == '"' || *from == '\'';
			return snprintf(value, cap, "%.*s", (int)strcspn(from, "\"'\n"), from) <
			       (int)cap;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return true;
}

static bool is_name_part(const char *part)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+~-";

	return part[0] && part[0] != '.' && part[strspn(part, allowed)] == '\0';
}

int btf_archive_name(const char *os_release, const char *machine, const char *release, char *name,
		     size_t cap)
{
	char id[48], version[48];
	int len;

	if (!os_release_value(os_release, "ID", id, sizeof(id)) ||
	    !os_release_value(os_release, "VERSION_ID", version, sizeof(version)))
		return -EINVAL;
	if (!version[0])
		snprintf(version, sizeof(version), "rolling");
	if (!is_name_part(id) || !is_name_part(version) || !is_name_part(machine) ||
	    !is_name_part(release))
		return -EINVAL;
	len = snprintf(name, cap, "%s-%s-%s-%s.btf", id, version, machine, release);
	return len < (int)cap ? 0 : -EINVAL;
}

/* Which file of the archive is this kernel's; "" if that can't be told. */
static void archive_name(char *name, size_t cap)
{
	char text[OS_RELEASE_MAX];
	struct utsname uts;
	int fd = open(OS_RELEASE_PATH, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	name[0] = '\0';
	if (n < 0)
		return;
	text[n] = '\0';
	if (uname(&uts) < 0 || btf_archive_name(text, uts.machine, uts.release, name, cap) < 0)
		name[0] = '\0';
}

static int take_archived(struct btf_choice *choice, const char *name, int objects_fd, char *what,
			 size_t cap)
{
	int dir =
		openat(objects_fd, BTF_ARCHIVE_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = dir < 0 ? -ENOENT : take_file(choice, dir, name, what, cap);

	if (dir >= 0)
		close(dir);
	choice->source = BTF_ARCHIVE;
	snprintf(choice->file, sizeof(choice->file), "%s", name);
	return err;
}

static int take_without_kernel(struct btf_choice *choice, int objects_fd, char *what, size_t cap)
{
	char name[NAME_MAX_BYTES];
	int err = -ENOENT;

	archive_name(name, sizeof(name));
	if (name[0])
		err = take_archived(choice, name, objects_fd, what, cap);
	if (err != -ENOENT)
		return err;
	if (is_garbage(BTF_KERNEL_PATH))
		snprintf(what, cap,
			 BTF_KERNEL_PATH
			 ": holds no BTF of this byte order: run a kernel with "
			 "CONFIG_DEBUG_INFO_BTF=y, and mount nothing over that file");
	else
		snprintf(
			what, cap,
			"no BTF: no " BTF_KERNEL_PATH " and no %s in the archive: run a kernel "
			"with CONFIG_DEBUG_INFO_BTF=y, with /sys mounted, or name a file by 'btf:'",
			name[0] ? name : "file for this kernel");
	return err;
}

int btf_find(struct btf_choice *choice, const char *named, int objects_fd, char *what, size_t cap)
{
	int err;

	*choice = (struct btf_choice){.source = BTF_KERNEL, .fd = -1};
	/* What it has to say is said in what. */
	libbpf_set_print(NULL);
	if (!is_garbage(BTF_KERNEL_PATH))
		choice->kernel = btf__load_vmlinux_btf();
	snprintf(choice->file, sizeof(choice->file), "%s",
		 access(BTF_KERNEL_PATH, R_OK) == 0 ? BTF_KERNEL_PATH : "a vmlinux with BTF");
	if (named[0])
		err = take_named(choice, named, what, cap);
	else
		err = choice->kernel ? 0 : take_without_kernel(choice, objects_fd, what, cap);
	if (err) {
		btf_drop(choice);
		return err;
	}
	snprintf(what, cap, "%s%s%.160s", source_names[choice->source], named[0] ? ": " : "",
		 named);
	return 0;
}

void btf_drop(struct btf_choice *choice)
{
	btf__free(choice->kernel);
	choice->kernel = NULL;
	if (choice->fd >= 0)
		close(choice->fd);
	choice->fd = -1;
}
