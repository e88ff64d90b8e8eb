/* SPDX-License-Identifier: Apache-2.0 */
/* What Landlock keeps the loader from, whatever becomes of its seccomp list. */
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

static void test_loader_sandbox_lets_no_file_be_seen(void **state)
{
	(void)state;
	if (landlock_abi() < 1)
		skip();
	assert_int_equal(walled(enter, walled_try), EACCES);
}

static void test_loader_sandbox_lets_nobody_be_reached_by_tcp(void **state)
{
	(void)state;
	if (landlock_abi() < 4)
		skip();
	assert_int_equal(walled(enter, walled_try_tcp), EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loader_sandbox_lets_no_file_be_seen),
		cmocka_unit_test(test_loader_sandbox_lets_nobody_be_reached_by_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
