#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What do a hundred thousand idle connections cost? They are opened, both ends on this machine, so
there are twice as many sockets. Beside them short connections come and go at a fixed rate, and their
latency is measured without conntrace, with it but without a walk, and with a walk each second, in
turns within one run. Memory and walks are shown of the last.

Exit codes: 0 memory is within the budget and nothing is lost, 1 not so, 2 it could not be run."""

import argparse
import contextlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import CONNGEN, Tracer, check, conngen, network_namespace, wait_for

RESERVED = 100  # of a process's open files, beside connections
STORAGE_BYTES = 448  # of a socket at most: common/config.c
IDLE = "127.77.6."
CHURN = "127.77.7.1"
VARIANTS = {"none": None, "no walk": "1h", "walk each second": "1s"}

LATENCIES = (("latency p50, us", "latency_p50_ns"), ("latency p90, us", "latency_p90_ns"),
             ("latency p99, us", "latency_p99_ns"), ("latency max, us", "latency_max_ns"),
             ("begun more than 10 ms late", "late"))


@contextlib.contextmanager
def idle_connections(prefix, count):
    """So many, among as many processes as the limit of open files makes needed."""
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - RESERVED) // 2
    processes = []
    try:
        while count > 0:
            part = min(room, count)
            count -= part
            processes.append(subprocess.Popen(
                [*prefix, CONNGEN, "idle", "--addr", f"{IDLE}{len(processes) + 1}", "--connections",
                 str(part), "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE))
            check(b'"idle"' in processes[-1].stdout.readline(), "conngen did not open them all")
        yield len(processes)
    finally:
        for process in processes:
            process.communicate()


def kernel_memory(pid):
    """Bytes of the maps, and of the programs, that a process has open: (maps, programs)."""
    found = {"map_id": {}, "prog_id": {}}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                facts = dict(line.split(":", 1) for line in f if ":" in line)
            for kind in found.keys() & facts.keys():
                if "memlock" in facts:
                    found[kind][int(facts[kind])] = int(facts["memlock"])
    return sum(found["map_id"].values()), sum(found["prog_id"].values())


class Bench:
    def __init__(self, options, prefix):
        self.options = options
        self.prefix = prefix

    def churn(self):
        seconds, rate = self.options.seconds, self.options.rate
        return conngen(self.prefix, "run", "--addr", CHURN, "--connections", seconds * rate,
                       "--rate", rate, "--threads", 16, "--ports", 8, timeout=60 + seconds)

    def visit(self, interval):
        if interval is None:
            return self.churn()
        tracer = Tracer(more=f"memory_budget: {self.options.budget}\nsnapshot_interval: {interval}\n")
        with tracer:
            # All are told once, as the exporter is new.
            wait_for("the first walk", lambda: tracer.process("loader")["stats"]["walks"] >= 1, 120)
            status = tracer.drained()
            figures = self.churn()
            status = tracer.drained()
            figures.update(self.memory(tracer, status))
            figures["stats"] = {p["name"]: p["stats"] for p in status["processes"] if p["pid"]}
            figures["seed_us"] = [s["duration_us"] for s in status["ladder"]
                                  if s["step"] == "seed"][0]
            figures["counters"] = status["counters"]
            figures["identity"] = status["identity"]
        return figures

    def memory(self, tracer, status):
        maps, programs = kernel_memory(tracer.process("supervisor")["pid"])
        counters = status["counters"]
        storage = STORAGE_BYTES * (counters["remembered"] - counters["destroyed"])
        return {"maps_bytes": maps, "programs_bytes": programs, "storage_bytes": storage,
                "rss_bytes": {p["name"]: 1024 * p["rss_kb"] for p in status["processes"] if p["pid"]}}


def print_latency(rounds):
    print(f"{'':36}" + "".join(f"{name:>24}" for name in VARIANTS))
    for label, key in LATENCIES:
        divisor = 1 if key == "late" else 1e3
        cells = ""
        for name in VARIANTS:
            values = [r[name][key] / divisor for r in rounds]
            ratios = [r[name][key] / r["none"][key] for r in rounds if r["none"][key]]
            ratio = f" ({statistics.median(ratios):.2f})" if name != "none" and ratios else ""
            cells += f"{f'{statistics.median(values):.0f}{ratio}':>24}"
        print(f"{label:36}{cells}")
    print("in brackets: ratio to none in the same round; medians over the rounds")


def mib(number):
    return f"{number / (1 << 20):.2f} MiB"


def print_costs(figures):
    walk = figures["stats"]["loader"]
    print(f"\nseeding                             {figures['seed_us'] / 1e3:.0f} ms for "
          f"{figures['counters']['opened_seeded']} ends of connections")
    for name, kind, worst in (("a whole walk", "walk", "slice_worst_us"),
                              ("a walk by files", "check", "check_slice_worst_us")):
        print(f"{name:36}{walk[kind + '_visits']} visits, {walk[kind + '_busy_us'] / 1e3:.0f} ms of "
              f"CPU in {walk[kind + '_last_us'] / 1e3:.0f} ms; longest slice "
              f"{walk[worst] / 1e3:.1f} ms of CPU")
    print(f"update records                      {figures['counters']['submitted_update']} in "
          f"{walk['walks']} whole walks and {walk['checks']} by files")
    for name, rss in figures["rss_bytes"].items():
        print(f"RSS of {name:29}{mib(rss)}")
    print(f"maps                                {mib(figures['maps_bytes'])}")
    print(f"sockets' storage, at most           {mib(figures['storage_bytes'])}")
    print(f"programs                            {mib(figures['programs_bytes'])}")


def judge(rounds, options):
    """What must hold, whatever the machine does meanwhile: counts."""
    sockets = 2 * options.connections
    for name in [n for n in VARIANTS if n != "none"]:
        for figures in [r[name] for r in rounds]:
            counters, identity = figures["counters"], figures["identity"]
            check(counters["opened_seeded"] >= sockets, f"{name}: seeded {counters}")
            check(identity["holds"] and not identity["dropped"], f"{name}: {identity}")
            check(figures["completed"] == options.seconds * options.rate, f"{name}: {figures}")
            # The exporter's list has the ring in it, too.
            taken = figures["storage_bytes"] + figures["rss_bytes"]["exporter"]
            check(taken <= options.budget_bytes and not counters["storage_failed"],
                  f"{name}: {mib(taken)}, {counters['storage_failed']} without room")
            check(figures["maps_bytes"] <= options.budget_bytes + (1 << 20),
                  f"{name}: maps of {mib(figures['maps_bytes'])}")
    updates = rounds[-1]["walk each second"]["counters"]
    check(updates["submitted_update"] < 2 * sockets + 4 * options.seconds * options.rate,
          f"updates of what has not changed: {updates['submitted_update']}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--connections", default=100000, **number, help="default %(default)s")
    parser.add_argument("--rate", default=500, **number,
                        help="short connections per second (default %(default)s)")
    parser.add_argument("--seconds", default=15, **number,
                        help="of these, per variant and round (default %(default)s)")
    parser.add_argument("--rounds", default=3, **number, help="default %(default)s")
    parser.add_argument("--budget", default="256MiB", metavar="SIZE",
                        help="memory_budget, in MiB (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every figure of every round there")
    options = parser.parse_args()
    found = re.fullmatch(r"(\d+)MiB", options.budget)
    if not found or min(options.connections, options.rate, options.seconds, options.rounds) < 1:
        parser.error("numbers must be at least 1, --budget a number with MiB")
    options.budget_bytes = int(found.group(1)) << 20
    return options


def measure(options):
    rounds = []
    with network_namespace() as (prefix, _), \
            idle_connections(prefix, options.connections) as processes:
        print(f"{options.connections} connections are open, of {processes} processes: "
              f"{2 * options.connections} sockets", file=sys.stderr)
        bench = Bench(options, prefix)
        names = list(VARIANTS)
        for number in range(options.rounds):
            rounds.append({})
            for name in names[number % len(names):] + names[:number % len(names)]:
                print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
                rounds[-1][name] = bench.visit(VARIANTS[name])
    return rounds


def main():
    options = parse_options()
    began = time.monotonic()
    try:
        rounds = measure(options)
    except (AssertionError, OSError) as wrong:
        print(f"scale.py: {wrong}", file=sys.stderr)
        return 2
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(rounds, f, indent=1)
    print_latency(rounds)
    print_costs(rounds[-1]["walk each second"])
    print(f"took {time.monotonic() - began:.0f} s")
    try:
        judge(rounds, options)
    except AssertionError as wrong:
        print(f"scale.py: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
