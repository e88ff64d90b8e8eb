/* SPDX-License-Identifier: Apache-2.0 */
/* The running kernel's type information, which CO-RE needs. */
#ifndef LOADER_BTF_H
#define LOADER_BTF_H

#include <stddef.h>

#define BTF_KERNEL_PATH "/sys/kernel/btf/vmlinux"

/* Returns 0, or a negative errno with the reason and the remedy in why. */
int btf_check_kernel(const char *path, char *why, size_t cap);

#endif
