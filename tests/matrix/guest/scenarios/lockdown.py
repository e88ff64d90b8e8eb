# SPDX-License-Identifier: Apache-2.0
"""A kernel that was booted with lockdown=confidentiality: no program may read kernel memory by a
helper."""

from circumstances import doctor, read, trace
from harness import Tracer, check, ends, equal, main


def test_the_kernel_is_locked_down():
    said = read("/sys/kernel/security/lockdown")
    check("[confidentiality]" in said, f"/sys/kernel/security/lockdown: {said}")


def test_kprobe_is_refused_and_lockdown_is_named():
    ends(Tracer(more="tracer: kprobe\n"), 69,
         "kprobe: plan: not supported: lockdown=confidentiality")
    equal(doctor("kprobe")["tracer"], "", "the tracer that doctor names")


def test_tracepoint_traces():
    equal(trace("tracepoint")["tracer"], "tracepoint", "tracer")


def test_fentry_traces():
    equal(trace("fentry")["tracer"], "fentry", "tracer")


def test_auto_traces():
    trace("auto")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
