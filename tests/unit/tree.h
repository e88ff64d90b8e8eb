/* SPDX-License-Identifier: Apache-2.0 */
/* A directory tree that a test made. */
#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

#include <ftw.h>
#include <stdio.h>

static inline int tree_remove_entry(const char *path, const struct stat *st, int flag,
				    struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* Remove it with all that is in it. Returns 0, or what nftw(3) returns. */
static inline int tree_remove(const char *path)
{
	return nftw(path, tree_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
