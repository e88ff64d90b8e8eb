# SPDX-License-Identifier: Apache-2.0
"""What scenarios change of a guest, and how conntraced fares there."""

import contextlib
import json
import os
import subprocess

from connections import closes, exchange, wait_for_closes
from harness import BIN, SLOWDOWN, Tracer, check, equal, network_namespace

# Commands that run another where the kernel's BTF can't be seen.
WITHOUT_BTF = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]


PARANOID = "/proc/sys/kernel/perf_event_paranoid"


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


@contextlib.contextmanager
def perf_event_paranoid(level):
    """The sysctl kernel.perf_event_paranoid at a level, for a while."""
    before = read(PARANOID)
    write(PARANOID, str(level))
    try:
        yield
    finally:
        write(PARANOID, before)


def trace(asked, cgroup=True, **how):
    """Trace a connection by the tracer that is asked for: both ends must be recorded, complete and
    with the right bytes, with their cgroup if that can be known; and doctor must have foretold which
    tracer it is. Returns the status."""
    with network_namespace() as (prefix, netns), \
            Tracer(more=f"tracer: {asked}\n", **how) as tracer:
        server = exchange(prefix)
        wait_for_closes(tracer, netns, 2)
        status = tracer.status()
        records = {r["direction"]: r for r in closes(tracer, netns)}
    equal(sorted(records), ["incoming", "outgoing"], "ends recorded")
    for direction, sent, received in (("outgoing", 5, 3), ("incoming", 3, 5)):
        record = records[direction]
        equal((record["bytes_sent"], record["bytes_received"], record["partial"]),
              (sent, received, False), f"{direction}: bytes sent, received, partial")
        equal(record["cgroup_id"] != 0, cgroup, f"{direction}: whether its cgroup is known")
    equal(records["incoming"]["pid"], server, "whose the incoming end is")
    check(status["identity"]["holds"], f"identity: {status['identity']}")
    equal(doctor(asked, **how)["tracer"], status["tracer"], "the tracer that doctor names")
    print(f"# {asked}: {status['tracer']} by {status['btf']} BTF")
    for step in status["ladder"]:
        if step["result"] not in ("ok", "skipped"):
            print(f"# {step['tracer']} {step['step']}: {step['result']}: {step['detail']}")
    return status


def doctor(asked, wrap=()):
    """What conntrace doctor says in JSON."""
    done = subprocess.run([*wrap, os.path.join(BIN, "conntrace"), "doctor", "--json", "--tracer",
                           asked], capture_output=True, text=True, timeout=20 * SLOWDOWN,
                          check=False)
    equal(done.stderr, "", "standard error of doctor")
    return json.loads(done.stdout)
