#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever can go wrong with a process of conntrace goes wrong, at random and under load; at the end
each connection that conngen made was recorded, or is counted as missing with the cause.

With --filter, filters change, too, and leave some connections out; what is lost can then only be
bounded, since no counter tells how many of the lost ones a filter would have left out.

The same seed deals the same blows in the same order; when each falls depends on the machine."""

import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from harness import (SLOWDOWN, bpf_links, check, conngen, equal, load, network_namespace,
                     proc_status, wait_for, wait_until)
from service_manager import Service

# Of this process alone: whoever else made connections to it would be in the counters.
ADDRESS = f"127.78.{os.getpid() % 250 + 1}.1"
PORTS = "7101,7102,7103"
FILTERED = "7199"  # at times left out by a filter
RATE = load(1200)
BATCH_S = 2
DEATHS_MOST = 7  # of a child in a row: at ten it is given up, and a reload begins a new row
DISK_MIB = 192  # but no less than the records of the time need
DISK_MIB_PER_S = 3
FDS_FEW = 8  # fewer than the supervisor has open
FDS_MANY = 1024

CONFIG = """output: {{format: json, path: {path}}}
memory_budget: 4MiB
snapshot_interval: {interval}
filters:
{filters}  - include: {{cidr: {address}}}
  - exclude: all
"""
LEAVE_OUT = f"  - exclude: {{cidr: {ADDRESS}, port: {FILTERED}}}\n"


class Traffic:
    """conngen, batch after batch, until told to stop."""

    def __init__(self, prefix, loads, address=ADDRESS):
        """loads: ports, and how many connections a second to them."""
        self.prefix, self.address = prefix, address
        self.completed = collections.Counter()
        self.failed = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=load) for load in loads]
        for thread in self.threads:
            thread.start()

    def run(self, ports, rate):
        try:
            while not self.stopped.is_set():
                report = conngen(self.prefix, "run", "--addr", self.address, "--port", ports, "--rate",
                                 rate, "--connections", rate * BATCH_S, "--threads", 4,
                                 "--timeout", 30000)
                self.completed[ports] += report["completed"]
        except Exception as reason:  # told by the main thread
            self.failed.append(reason)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        check(not self.failed, f"conngen: {self.failed}")


def limit_fds(pid, most):
    """As a process of the same user may."""
    subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                    "prlimit", "--pid", str(pid), f"--nofile={most}:"], check=True)


class Chaos:
    """The conntraced that is attacked, and what was done to it."""

    def __init__(self, rng, disk):
        self.rng = rng
        self.disk = disk
        self.tracer = Service()
        self.tracer.records_path = os.path.join(disk, "records.jsonl")
        self.configure()
        self.deaths = collections.Counter()
        self.blows = collections.Counter()

    def configure(self, leave_out=False):
        self.tracer.write_config(CONFIG.format(
            path=self.tracer.records_path, address=ADDRESS, filters=LEAVE_OUT if leave_out else "",
            interval=self.rng.choice(["200ms", "1s", "1h"])))

    def pause(self, least, most):
        time.sleep(self.rng.uniform(least, most) * min(SLOWDOWN, 3))

    def child(self):
        """A child, and its pid if it runs."""
        name = self.rng.choice(["loader", "exporter"])
        running = {p["name"]: p["pid"] for p in self.tracer.status()["processes"]
                   if p["state"] == "running"}
        return name, running.get(name)

    # --- the blows ---

    def kill_a_child(self):
        name, pid = self.child()
        if self.deaths[name] >= DEATHS_MOST:
            self.reload()
        elif pid:
            os.kill(pid, signal.SIGKILL)
            self.deaths[name] += 1

    def stop_a_child(self):
        """Shorter than the supervisor's patience."""
        _, pid = self.child()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                self.pause(0.1, 1.5)
                os.kill(pid, signal.SIGCONT)

    def stop_the_supervisor(self):
        self.tracer.proc.send_signal(signal.SIGSTOP)
        self.pause(0.1, 1.0)
        self.tracer.proc.send_signal(signal.SIGCONT)

    def kill_the_supervisor(self):
        self.tracer.stored()
        self.tracer.kill()
        self.tracer.start()
        self.deaths.clear()

    def upgrade(self):
        self.tracer.proc.send_signal(signal.SIGUSR2)
        self.pause(0.1, 1.0)
        wait_for("tracing after an upgrade", self.tracer.tracing, 20)
        self.deaths.clear()

    def reload(self):
        self.tracer.proc.send_signal(signal.SIGHUP)
        self.deaths.clear()

    def change_the_filter(self):
        self.configure(leave_out=self.rng.random() < 0.5)
        self.reload()

    def break_the_configuration(self):
        self.tracer.write_config("filters: [{exclude: {port: 99999}}]\n")
        self.tracer.proc.send_signal(signal.SIGHUP)
        self.pause(0.1, 0.5)
        self.configure()
        self.reload()

    def fill_the_disk(self):
        """For less time than the exporter waits for its output."""
        path = os.path.join(self.disk, "filler")
        with open(path, "wb") as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(1 << 20))
                    filler.flush()
        self.pause(0.3, 2.0)
        os.unlink(path)

    def exhaust_fds(self):
        """The supervisor can't open any more while a child is to be started anew."""
        name, pid = self.child()
        limit_fds(self.tracer.proc.pid, FDS_FEW)
        if pid and self.deaths[name] < DEATHS_MOST:
            os.kill(pid, signal.SIGKILL)
            self.deaths[name] += 1
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.tracer.cli("status", check_code=False, timeout=0.3)
        limit_fds(self.tracer.proc.pid, FDS_MANY)

    def ask(self):
        for what in ("status", "list"):
            self.tracer.cli(what, "--json", check_code=False)

    BLOWS = (kill_a_child, kill_a_child, kill_a_child, stop_a_child, stop_the_supervisor,
             kill_the_supervisor, upgrade, reload, break_the_configuration, fill_the_disk,
             exhaust_fds, ask)

    def strike(self, seconds, filtered):
        blows = self.BLOWS + (Chaos.change_the_filter,) * filtered
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            blow = self.rng.choice(blows)
            self.blows[blow.__name__] += 1
            blow(self)
            self.pause(0.0, 0.6)

    # --- afterwards ---

    def recover(self):
        self.configure()
        self.reload()
        wait_for("all at work", lambda: all(self.tracer.running(c) for c in ("loader", "exporter"))
                 and self.tracer.tracing(), 30)

    def footprint(self):
        """What the supervisor has made or was handed, by kind, when nothing is under way."""
        pid = self.tracer.proc.pid
        kinds = collections.Counter()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                kinds[os.readlink(f"/proc/{pid}/fd/{fd}").partition("[")[0]] += 1
        return {kind: count for kind, count in kinds.items() if not kind.startswith("/")}


def judge(tracer, netns, completed):
    """Every end was delivered or is counted as missing; none was delivered as two."""
    once = {}
    for record in tracer.records():
        if record["event"] == "close" and record["netns"] == netns:
            once.setdefault((record["cpu"], record["seq"], record["cookie"]), record)
    by_filter = [FILTERED in (str(r["sport"]), str(r["dport"])) for r in once.values()]
    counted = tracer.status()
    missing = {name: counted["counters"].get(name, counted["ledger"].get(name))
               for name in ("lost_close", "dropped_sink_close", "dropped_malformed")}
    lost = sum(missing.values())
    ends = 2 * completed[PORTS]
    delivered = len(once) - sum(by_filter)
    unseen = tracer.unseen(ends - delivered - lost) if delivered + lost < ends else 0
    print(f"# {ends} ends of connections: {delivered} delivered, missing {missing}, of anybody's "
          f"{unseen} unseen; {2 * completed[FILTERED]} ends with a filter at times: {sum(by_filter)} delivered",
          flush=True)
    if completed[FILTERED] and lost:
        check(0 <= ends - delivered <= lost + unseen,
              f"{ends - delivered} are missing, {lost} and {unseen} counted")
        check(sum(by_filter) <= 2 * completed[FILTERED], "more than there were")
    else:
        check(0 <= ends - delivered - lost <= unseen,
              f"{ends - delivered} are missing, {lost} counted, {unseen} unseen")
    check(counted["identity"]["holds"], f"identity: {counted['identity']}")


@contextlib.contextmanager
def small_disk(seconds):
    size = max(DISK_MIB, DISK_MIB_PER_S * seconds)
    path = tempfile.mkdtemp(prefix="conntrace-chaos-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=0755", "chaos", path],
                   check=True)
    shutil.chown(path, "nobody", "nogroup")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)
        os.rmdir(path)


def links_of(pid):
    """Ids of the BPF links that the process holds."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="utf-8") as info:
            found |= {int(line.split()[1]) for line in info if line.startswith("link_id:")}
    return found


def run(seconds, seed, filtered):
    with small_disk(seconds) as disk, network_namespace() as (prefix, netns):
        chaos = Chaos(random.Random(seed), disk)
        with chaos.tracer as tracer:
            fds = chaos.footprint()
            loads = [(PORTS, RATE), (FILTERED, max(RATE // 20, 5))]
            traffic = Traffic(prefix, loads if filtered else loads[:1])
            try:
                chaos.strike(seconds, filtered)
            finally:
                traffic.end()
            chaos.recover()
            tracer.drained()
            tracer.closes(netns, 2 * traffic.completed[PORTS])
            print(f"# seed {seed}, {seconds} s: {dict(sorted(chaos.blows.items()))}", flush=True)
            judge(tracer, netns, traffic.completed)
            if wait_until(lambda: chaos.footprint() == fds) is not True:
                raise AssertionError(f"fds of the supervisor: {chaos.footprint()}, at first {fds}")
            links = links_of(tracer.proc.pid)
            left = [p["pid"] for p in tracer.status()["processes"] if p["pid"]]
        wait_for("no process left", lambda: not any(os.path.exists(f"/proc/{p}") for p in left))
        wait_for("no program left attached", lambda: not bpf_links() & links)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="default %(default)s")
    parser.add_argument("--seed", type=int, help="default: of the time")
    parser.add_argument("--filter", action="store_true", help="change filters, too")
    args = parser.parse_args()
    run(args.seconds, int(time.time()) if args.seed is None else args.seed, args.filter)


if __name__ == "__main__":
    sys.exit(main())
