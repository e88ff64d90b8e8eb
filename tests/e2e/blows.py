# SPDX-License-Identifier: Apache-2.0
"""Blows at a conntraced while connections come and go: each connection must be recorded once.

CONNTRACE_KILLS=N deals N of each kind instead of 3 (one on an emulated machine), CONNTRACE_RATE=N
makes N connections a second instead of 1500, CONNTRACE_SEED=N chooses other moments. So
`CONNTRACE_KILLS=50 CONNTRACE_RATE=5000 python3 tests/e2e/test_custody.py` is the whole of it."""

import glob
import json
import os
import signal
import subprocess
import time

from harness import (CONNGEN, SLOWDOWN, check, equal, load, network_namespace, steps_of, wait_for,
                     wait_until)

KILLS = int(os.environ.get("CONNTRACE_KILLS", "3" if SLOWDOWN == 1 else "1"))
RATE = load(int(os.environ.get("CONNTRACE_RATE", "1500")))
SEED = int(os.environ.get("CONNTRACE_SEED", "1"))
KILLS_IN_A_ROW = 5
PAUSE_S = 0.3 * SLOWDOWN  # between one blow and the next


class Load:
    """Connections in a network namespace of its own, until stop()."""

    def __init__(self, prefix):
        # Of a port's 28,000 on the other side each is taken for a minute after its connection.
        self.conngen = subprocess.Popen(
            [*prefix, CONNGEN, "run", "--connections", "100000000", "--rate", str(RATE),
             "--threads", "2", "--ports", str(2 + RATE // 400)], stdout=subprocess.PIPE, text=True)

    def stop(self):
        """What conngen says that it did."""
        self.conngen.send_signal(signal.SIGTERM)
        said, _ = self.conngen.communicate(timeout=60 * SLOWDOWN)
        report = json.loads(said.splitlines()[-1])
        wrong = {name: report[name] for name in ("failed", "mismatched", "server_failed",
                                                 "server_mismatched", "server_unfinished")}
        equal(set(wrong.values()), {0}, f"conngen: {wrong}")
        check(report["completed"] > 0, f"no load: {report}")
        return report


class Records:
    """The close records of a namespace, as they come into the file."""

    def __init__(self, path, netns):
        self.path, self.netns = path, netns
        self.at, self.again, self.partial, self.sent = 0, 0, 0, 0
        self.seen, self.cookies = set(), set()

    def take(self, record):
        key = record["cpu"] << 48 | record["seq"]
        if key in self.seen:
            self.again += 1
            return
        self.seen.add(key)
        self.cookies.add(record["cookie"])
        self.partial += record["partial"]
        self.sent += record["bytes_sent"]

    def read(self):
        """How many there are by now, each counted once."""
        with open(self.path, "rb") as lines:
            lines.seek(self.at)
            for line in lines:
                if not line.endswith(b"\n"):  # under way
                    break
                self.at += len(line)
                # The last line of an exporter that was killed may be unfinished.
                if line.endswith(b"}\n") and b'"event":"close"' in line:
                    record = json.loads(line)
                    if record["netns"] == self.netns:
                        self.take(record)
        return len(self.seen)


def check_records(tracer, netns, report):
    """Every connection was recorded by both of its ends, once."""
    ends = 2 * report["completed"]
    records = Records(tracer.records_path, netns)
    wait_until(lambda: records.read() >= ends)
    time.sleep(PAUSE_S)  # for what there should not be
    records.read()
    print(f"# {report['completed']} connections, "
          f"{int(report['completed'] / report['elapsed_ns'] * 1e9)} a second: "
          f"{len(records.seen)} close records, {records.again} of them delivered again")
    # These are of the whole host, so they may be another's.
    lost = {name: count for name, count in tracer.status()["counters"].items()
            if count and name.startswith(("lost_", "opened_partial", "storage_failed"))}
    equal(len(records.seen), ends, f"close records; lost: {lost}")
    equal(len(records.cookies), ends, "connections")
    equal(records.partial, 0, "connections whose begin is not known")
    equal(records.sent, report["client_bytes_sent"] + report["server_bytes_sent"], "bytes")
    wait_for("the account holds", lambda: tracer.status()["identity"]["holds"])


def under_load(tracer, blow):
    """KILLS blows while connections come and go; none of them is lost, or recorded twice."""
    with network_namespace() as (prefix, netns), tracer:
        connections = Load(prefix)
        try:
            for n in range(KILLS):
                time.sleep(PAUSE_S)
                blow(tracer, n)
            time.sleep(PAUSE_S)
        finally:
            report = connections.stop()
        check_records(tracer, netns, report)


def adopted(tracer):
    """The tracer that there was goes on."""
    steps = {step: s for (_, step), s in steps_of(tracer.status()).items()}
    equal(steps["adopt"]["result"], "ok", f"adopt: {steps['adopt']}")
    equal(steps["load"]["result"], "skipped", "load")

def reload(tracer, more):
    """A new configuration, and a loader that has taken it."""
    loader, exporter = tracer.process("loader")["pid"], tracer.process("exporter")["pid"]
    tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n{more}")
    tracer.proc.send_signal(signal.SIGHUP)
    wait_for("a new loader", lambda: tracer.running("loader", other_than=loader))
    wait_for("a new exporter", lambda: tracer.running("exporter", other_than=exporter))


def taken_over(tracer, how):
    """Another tracer does the work of the one before, with its maps."""
    steps = {step: s for (_, step), s in steps_of(tracer.status()).items()}
    equal(steps["adopt"]["result"], "skipped", f"adopt: {steps['adopt']}")
    equal(steps["load"]["result"], "ok", "load")
    equal(steps["take over"]["result"], "ok", f"take over: {steps['take over']}")
    check(how in steps["take over"]["detail"], f"take over: {steps['take over']}")


def another_object(tree):
    """Other files, and the same programs: what is behind an ELF file's sections says nothing."""
    for path in glob.glob(os.path.join(os.path.dirname(tree.object), "*.bpf.o")):
        with open(path, "ab") as f:
            f.write(b"\0")


def traces_udp(tracer):
    return any(p["name"] == "walk_flows" and p["state"] == "attached"
               for p in tracer.status()["probes"])
