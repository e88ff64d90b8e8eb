# SPDX-License-Identifier: Apache-2.0
"""A kernel that was booted with lockdown=confidentiality where connections are remembered in a table,
before Linux 5.11: what is in it is read by a helper, and so is a socket's cgroup."""

from circumstances import trace
from harness import check, equal, main, steps_of
# Run from here, too.
from lockdown import (test_kprobe_is_refused_and_lockdown_is_named,
                      test_the_kernel_is_locked_down)

LOST = "no bpf_map_elem: live connections are not listed"


def traces_but_can_not_list(asked, name):
    status = trace(asked, cgroup=False)
    plan = steps_of(status)[name, "plan"]
    equal((status["tracer"], plan["result"]), (name, "degraded"), "tracer, its plan")
    check(LOST in plan["detail"], f"the plan says: {plan['detail']}")
    equal(steps_of(status)[name, "drop"]["detail"], "capabilities left: none",
          "capabilities, of which only a list needs one")


def test_tracepoint_traces_but_can_not_list():
    traces_but_can_not_list("tracepoint", "tracepoint")


def test_fentry_traces_but_can_not_list():
    traces_but_can_not_list("fentry", "fentry")


def test_auto_traces_by_tracepoint():
    traces_but_can_not_list("auto", "tracepoint")


if __name__ == "__main__":
    main([test_the_kernel_is_locked_down, test_kprobe_is_refused_and_lockdown_is_named,
          test_tracepoint_traces_but_can_not_list, test_fentry_traces_but_can_not_list,
          test_auto_traces_by_tracepoint])
