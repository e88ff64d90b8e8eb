/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features [--without-btf]: what the running kernel offers, as the loader would find it: a line
 * "name number" for each. Run by root: it becomes what the loader is.
 */
#include <bpf/btf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "common/privs.h"
#include "loader/features.h"

#define NOBODY 65534

/* Nobody, with the two capabilities of the loader's file. */
static int become_loader(void)
{
	const uint64_t needed = PRIVS_CAP(CAP_BPF) | PRIVS_CAP(CAP_PERFMON);
	int err;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -1;
	err = privs_drop_user(NOBODY, NOBODY);
	return err ? err : privs_set_caps(needed, needed);
}

int main(int argc, char **argv)
{
	struct features features;
	struct btf *btf = NULL;
	int err;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--without-btf") != 0))
		return EX_USAGE;
	err = become_loader();
	if (err) {
		fprintf(stderr, "features: become the loader: %s\n", strerror(-err));
		return EX_NOPERM;
	}
	if (argc == 1)
		btf = btf__load_vmlinux_btf();
	features_probe(&features, btf, true);
	btf__free(btf);
	for (int i = 0; i < FEATURE_COUNT; i++)
		printf("%s %d\n", feature_name((enum feature)i), features.of[i]);
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}
