# SPDX-License-Identifier: Apache-2.0
"""A kernel that was booted with lockdown=confidentiality: no program may read kernel memory by a
helper. Where types are known for all that is read, that is needed by kprobes only, for UDP, and to
read where a connect that fails at once was to."""

from circumstances import doctor, read, trace
from harness import Tracer, check, ends, equal, main, steps_of

REFUSED = "the kernel refuses programs that read kernel memory"


def test_the_kernel_is_locked_down():
    said = read("/sys/kernel/security/lockdown")
    check("[confidentiality]" in said, f"/sys/kernel/security/lockdown: {said}")


def test_kprobe_is_refused_and_lockdown_is_named():
    ends(Tracer(more="tracer: kprobe\n"), 69,
         "kprobe: plan: not supported: lockdown=confidentiality")
    equal(doctor("kprobe")["tracer"], "", "the tracer that doctor names")


def traces_without_some(asked, name):
    status = trace(asked)
    plan = steps_of(status)[name, "plan"]
    equal((status["tracer"], plan["result"], plan["detail"]),
          (name, "degraded", f"UDP is not traced: {REFUSED}; connects that fail at once are not "
           f"recorded: {REFUSED}"), "tracer, its plan")


def test_tracepoint_traces_and_names_what_it_lacks():
    traces_without_some("tracepoint", "tracepoint")


def test_fentry_traces_and_names_what_it_lacks():
    traces_without_some("fentry", "fentry")


def test_auto_traces_by_tracepoint():
    traces_without_some("auto", "tracepoint")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
