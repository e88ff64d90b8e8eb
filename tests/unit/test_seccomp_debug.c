/* SPDX-License-Identifier: Apache-2.0 */
/* test_seccomp, of a debug build. */
#if !defined(CONNTRACE_DEBUG)
#define CONNTRACE_DEBUG
#endif
#include "common/seccomp.c"          /* NOLINT(bugprone-suspicious-include) */
#include "tests/unit/test_seccomp.c" /* NOLINT(bugprone-suspicious-include) */
