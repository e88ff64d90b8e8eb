# SPDX-License-Identifier: Apache-2.0
"""ECS_FARGATE=1 where the kernel has BPF trampolines."""

from connections import trace_on_fargate
from harness import equal, main


def test_auto_traces_by_fentry_and_records_its_own_pid_namespace_only():
    status = trace_on_fargate()
    equal(status["tracer"], "fentry", "tracer")
    equal([s["tracer"] for s in status["ladder"] if s["step"] == "plan"], ["fentry"], "planned")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
