/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tuf/scarce.h"

#include <stddef.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static unsigned long left; /* 0: nothing fails */
static bool failed;

static bool fails(void)
{
	if (!left || --left)
		return false;
	failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void scarce_after(unsigned long n)
{
	left = n;
	failed = false;
}

bool scarce_end(void)
{
	left = 0;
	return failed;
}
