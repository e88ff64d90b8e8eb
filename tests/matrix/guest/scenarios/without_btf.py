# SPDX-License-Identifier: Apache-2.0
"""A kernel that shows no BTF: /sys/kernel/btf is empty. The build has the archive's BTF of it."""

import os

from circumstances import WITHOUT_BTF, trace
from harness import Tracer, Tree, check, ends, equal, main, steps_of

WALK = "bpf_map_elem"

# What an iterator does, and UDP, whose flows one has to end.
BY_ITERATOR = {"walk_table", "seed_sockets", "walk_flows", "trace_udp_send", "trace_udp6_send",
               "trace_udp_recv", "trace_udp_end", "trace_udp6_end"}


def test_with_an_archive_auto_traces_by_kprobes_and_names_what_is_missing():
    status = trace("auto", wrap=WITHOUT_BTF)
    equal((status["tracer"], status["btf"]), ("kprobe", "archive"), "tracer, BTF")
    equal({a["outcome"] for a in status["attempts"] if a["tracer"] == "kprobe"},
          {"ok_archive_btf"}, "outcome")
    steps = steps_of(status)
    for tracer in ("fentry", "tracepoint"):
        equal(steps[tracer, "plan"]["result"], "not_supported", f"{tracer}: plan")
    check(status["degraded"], "the status does not say degraded")
    equal(steps["kprobe", "plan"]["result"], "degraded", "kprobe: plan")
    check(f"no {WALK}: live connections are not listed" in steps["kprobe", "plan"]["detail"],
          f"the plan says: {steps['kprobe', 'plan']['detail']}")
    equal({p["name"] for p in status["probes"] if p["state"] == "missing"}, BY_ITERATOR, "missing")


def test_with_an_archive_the_list_says_that_it_can_not_be_had():
    with Tracer(wrap=WITHOUT_BTF) as tracer:
        done = tracer.cli("list", "--json", check_code=False)
    equal((done.returncode, done.stdout), (1, ""), "exit code, standard output")
    check("live connections can't be listed" in done.stderr, f"it said: {done.stderr}")


def test_without_an_archive_it_says_what_helps():
    name = f"x86_64-{os.uname().release}.btf in the archive"
    with Tree() as tree:
        ends(Tracer(binaries=tree.bin, wrap=WITHOUT_BTF), 69, "-: btf: no BTF: ", name,
             "CONFIG_DEBUG_INFO_BTF=y")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
