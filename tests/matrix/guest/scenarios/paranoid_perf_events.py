# SPDX-License-Identifier: Apache-2.0
"""kernel.perf_event_paranoid=3, Debian's default, where kprobes are attached by perf events."""

from circumstances import perf_event_paranoid, trace
from harness import Tracer, check, ends, main


def test_kprobe_is_refused_and_the_sysctl_is_named():
    with perf_event_paranoid(3):
        ends(Tracer(more="tracer: kprobe\n"), 69,
             "kprobe: plan: not supported: kernel.perf_event_paranoid refuses",
             "sysctl kernel.perf_event_paranoid=2")


def test_auto_traces_by_another():
    with perf_event_paranoid(3):
        status = trace("auto")
    check(status["tracer"] != "kprobe", "it traces by kprobes")


def test_kprobe_traces_at_2():
    with perf_event_paranoid(2):
        trace("kprobe")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
