/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type information (BTF) to fit the objects to: of the file that the configuration names, of the
 * running kernel, or of the archive that is installed beside the objects, in this order.
 */
#ifndef LOADER_BTF_H
#define LOADER_BTF_H

#include <stddef.h>
#include <stdint.h>

#define BTF_KERNEL_PATH "/sys/kernel/btf/vmlinux"
#define BTF_ARCHIVE_DIR "btf" /* in the directory of the objects */

/* As long as the path that a configuration can name. */
#define BTF_FILE_MAX 256u

enum btf_source { BTF_NAMED, BTF_KERNEL, BTF_ARCHIVE };

struct btf_choice {
	enum btf_source source;
	char file[BTF_FILE_MAX]; /* where it was found: path, or name in the archive */
	/* The running kernel's own, whatever the source: to attach by. NULL = it has none. */
	struct btf *kernel;
	int fd;        /* of a memfd with the BTF of the named file or the archive; -1 = none */
	char path[32]; /* of that, for libbpf; "" = the running kernel's */
};

/*
 * Find it. named: path of a file, "" = none; objects_fd: the directory of the objects. The named
 * file and the archive's must be trusted as the objects are (object.h).
 * Returns 0 with the source in what, -ENOENT when there is none at all, -EPERM if a file is not to
 * be trusted, another negative errno; with the reason and the remedy in what.
 */
int btf_find(struct btf_choice *choice, const char *named, int objects_fd, char *what, size_t cap);

void btf_drop(struct btf_choice *choice);

/* "named", "kernel", "archive" */
const char *btf_source_name(enum btf_source source);

/*
 * The file of the archive for a kernel: "ID-VERSION_ID-MACHINE-RELEASE.btf" from the text of an
 * os-release file (os-release(5)); without VERSION_ID "rolling". Returns 0, or -EINVAL if a part
 * is missing, too long, or holds something that no such name has.
 */
int btf_archive_name(const char *os_release, const char *machine, const char *release, char *name,
		     size_t cap);

#endif
