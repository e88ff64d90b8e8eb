# SPDX-License-Identifier: Apache-2.0
"""kernel.perf_event_paranoid=3, Debian's default, where kprobes need no perf event."""

from circumstances import perf_event_paranoid, trace
from harness import equal, main


def test_kprobe_traces_by_kprobe_multi():
    with perf_event_paranoid(3):
        status = trace("kprobe")
    attached = {p["how"] for p in status["probes"] if p["state"] == "attached"}
    how = {h for h in attached if not h.startswith("iterator")}
    equal({h for h in attached if not h.startswith("iterator")},
          {"kprobe.multi", "kretprobe.multi"}, "how its programs are attached")


def test_auto_traces():
    with perf_event_paranoid(3):
        trace("auto")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
