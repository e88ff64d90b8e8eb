/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "verifier/sandbox.h"
#include "tests/unit/walled.h"

static int enter(void)
{
	return sandbox_enter();
}

int main(void)
{
	return walled_run();
}
