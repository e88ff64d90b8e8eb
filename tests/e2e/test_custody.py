# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed, restarted or replaced under load: each connection is recorded once.

CONNTRACE_KILLS=N does it to each N times instead of 3; CONNTRACE_RATE=N makes N connections a second
instead of 1500. So `CONNTRACE_KILLS=50 CONNTRACE_RATE=5000 python3 tests/e2e/test_custody.py` is the
whole of it."""
# timeout: 600

import os
import signal
import threading
import time

from harness import (SLOWDOWN, bpf_links, check, conngen, equal, load, main, network_namespace,
                     steps_of, wait_for)
from service_manager import Service

KILLS = int(os.environ.get("CONNTRACE_KILLS", "3"))
RATE = load(int(os.environ.get("CONNTRACE_RATE", "1500")))
PAUSE_S = 0.3 * SLOWDOWN  # between one blow and the next


class Load:
    """conngen in a network namespace of its own for as long as the blows may take."""

    def __init__(self, tracer, prefix, netns, blows, seconds_each):
        self.tracer, self.netns = tracer, netns
        self.report = {}
        count = int(RATE * blows * seconds_each)
        self.thread = threading.Thread(target=lambda: self.report.update(conngen(
            prefix, "run", "--connections", count, "--rate", RATE, "--ports", 4,
            timeout=120 + 2 * blows * seconds_each)))
        self.thread.start()

    def running(self):
        return self.thread.is_alive()

    def check(self):
        """Every connection was recorded by both of its ends, once."""
        self.thread.join()
        ends = 2 * self.report["completed"]
        ours = self.tracer.closes(self.netns, ends)
        once = {(r["cpu"], r["seq"]): r for r in ours}
        equal(len(once), ends, "close records")
        equal(len({r["cookie"] for r in once.values()}), ends, "connections")
        partial = [r for r in once.values() if r["partial"]]
        equal(partial, [], "connections whose begin is not known")
        equal(sum(r["bytes_sent"] for r in once.values()),
              self.report["client_bytes_sent"] + self.report["server_bytes_sent"], "bytes")
        identity = self.tracer.drained()["identity"]
        check(identity["holds"] and identity["dropped"] == 0, f"identity: {identity}")
        print(f"# {ends} close records, {len(ours) - len(once)} of them delivered again")


def under_load(tracer, blow, seconds_each=0.8):
    """KILLS blows while connections come and go; none of them is lost, or recorded twice."""
    with network_namespace() as (prefix, netns), tracer:
        connections = Load(tracer, prefix, netns, KILLS, seconds_each)
        for n in range(KILLS):
            time.sleep(PAUSE_S)
            check(connections.running(), f"the load ended before blow {n + 1}")
            blow(tracer, n)
        connections.check()


def adopted(tracer):
    """The tracer that there was goes on."""
    steps = {step: s for (_, step), s in steps_of(tracer.status()).items()}
    equal(steps["adopt"]["result"], "ok", f"adopt: {steps['adopt']}")
    equal(steps["load"]["result"], "skipped", "load")


def restart(tracer, how):
    tracer.stored()
    if how == signal.SIGKILL:
        tracer.kill()
    else:
        tracer.stop()
    tracer.start()
    adopted(tracer)


def test_a_supervisor_killed_and_started_again_with_its_fds_loses_nothing():
    under_load(Service(), lambda tracer, n: restart(tracer, signal.SIGKILL), 1.2)


def test_a_service_stopped_and_started_again_with_its_fds_loses_nothing():
    under_load(Service(), lambda tracer, n: restart(tracer, signal.SIGTERM), 2.0)


def test_what_is_in_the_store_and_is_not_a_tracer_is_refused_and_cleared_away():
    tracer = Service()
    foreign = [("tracer-7-00", "/dev/null"), ("tracer-7-manifest", "/etc/passwd"),
               ("tracer-9-manifest", "/dev/zero"), ("somebody", "/dev/null")]
    tracer.manager.store = [(name, os.open(path, os.O_RDONLY)) for name, path in foreign]
    os.environ["FDSTORE"] = "10"
    try:
        with tracer:
            text = tracer.text()
            for words in ("tracer 7, left to this process, is not taken",
                          "tracer 9, left to this process, is not taken",
                          "FileDescriptorStoreMax=98"):
                check(words in text, f"not said: {words}: {text}")
            tracer.stored()
            names = tracer.manager.names()
            equal([n for n in names if not n.startswith("tracer-1-")], [], "left in the store")
            equal(steps_of(tracer.status())[tracer.status()["tracer"], "load"]["result"], "ok",
                  "load")
            left = [os.readlink(f"/proc/{tracer.proc.pid}/fd/{fd}")
                    for fd in os.listdir(f"/proc/{tracer.proc.pid}/fd")]
            check("/etc/passwd" not in left and "/dev/zero" not in left, f"fds: {left}")
    finally:
        del os.environ["FDSTORE"]


def test_what_was_stored_detaches_with_the_unit():
    before = bpf_links()
    tracer = Service()
    with tracer:
        tracer.stored()
        mine = bpf_links() - before
        tracer.stop()
        equal(bpf_links() & mine, mine, "links while the service manager has them")
        tracer.manager.drop()
        wait_for("links gone", lambda: not bpf_links() & mine)


if __name__ == "__main__":
    main([test_a_supervisor_killed_and_started_again_with_its_fds_loses_nothing,
          test_a_service_stopped_and_started_again_with_its_fds_loses_nothing,
          test_what_is_in_the_store_and_is_not_a_tracer_is_refused_and_cleared_away,
          test_what_was_stored_detaches_with_the_unit])
