/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loader/sandbox.h"
#include "tests/unit/walled.h"

static int enter(void)
{
	int abi;

	return sandbox_enter(&abi) == 0 && abi == landlock_abi() ? 0 : -EPERM;
}

int main(void)
{
	return walled_run();
}
