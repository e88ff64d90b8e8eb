#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A long time under a steady load, with somebody who asks now and then: every process is the same at the
end and takes what it took at the begin, and each end of a connection was recorded or is counted.

Begin is after a twentieth of the time, when buffers and tables have grown to what the load needs."""

import argparse
import json
import os
import sys
import time

import chaos
from harness import CHILDREN, Tracer, check, equal, main as run_tests, network_namespace, proc_status

MINUTE_S = 60
ADDRESS = "127.77.11.1"
SLACK_KB = 512  # of memory that a process may have more at the end
CONFIG = """output: {{format: json, path: {path}}}
filters:
  - include: {{cidr: {address}}}
  - exclude: all
"""


def map_memory(pid):
    """Bytes of the BPF maps that the process holds, as the kernel counts them."""
    maps = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
                words = dict(line.split(":", 1) for line in info if ":" in line)
        except FileNotFoundError:
            continue
        if {"map_id", "memlock"} <= words.keys():  # a link of a map has its id alone
            maps[int(words["map_id"])] = int(words["memlock"])
    return sum(maps.values())


def look(tracer):
    """{process: what it takes}"""
    found = {}
    for process in tracer.status()["processes"]:
        pid = process["pid"]
        if process["state"] != "running":
            continue
        found[process["name"]] = {
            "pid": pid, "RSS kB": int(proc_status(pid)["VmRSS"].split()[0]),
            "anonymous kB": int(proc_status(pid)["RssAnon"].split()[0]),
            "fds": len(os.listdir(f"/proc/{pid}/fd")), "maps B": map_memory(pid)}
    return found


def tell(title, looked):
    for name, takes in looked.items():
        print(f"# {title:<10} {name:<10} " + "  ".join(f"{k} {v}" for k, v in takes.items()), flush=True)


def closes(tracer, netns):
    """How many ends were delivered, and how many of them twice; the file may be large."""
    once, lines = set(), 0
    with open(tracer.records_path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["event"] == "close" and record["netns"] == netns:
                lines += 1
                once.add((record["cpu"], record["seq"], record["cookie"], record["sport"]))
    return len(once), lines - len(once)


def soak(seconds, rate):
    tracer = Tracer(source=True)
    tracer.write_config(CONFIG.format(path=tracer.records_path, address=ADDRESS)
                        + f"source: {{dir: {tracer.source}}}\n")
    with network_namespace() as (prefix, netns), tracer:
        traffic = chaos.Traffic(prefix, [(chaos.PORTS, rate)], ADDRESS)
        try:
            time.sleep(seconds / 20)
            before = look(tracer)
            tell("begin", before)
            end = time.monotonic() + seconds * 19 / 20
            while time.monotonic() < end:
                check(not traffic.failed, f"conngen: {traffic.failed}")
                time.sleep(min(MINUTE_S, max(0, end - time.monotonic())))
                tracer.cli("status", "--json", check_code=False, timeout=60)
                tracer.cli("list", "--json", check_code=False, timeout=60)
                tell(f"{time.monotonic() - end + seconds * 19 / 20:.0f} s", look(tracer))
            after = look(tracer)
            tell("end", after)
        finally:
            traffic.end()
        status = tracer.drained()
        delivered, twice = closes(tracer, netns)
        lost = status["counters"]["lost_close"]
        ends = 2 * traffic.completed[chaos.PORTS]
        unseen = tracer.unseen(ends - delivered - lost) if delivered + lost < ends else 0
        print(f"# {seconds} s, {rate} connections/s: {ends} ends: {delivered} delivered, {twice} of them "
              f"twice, {lost} lost and {unseen} unseen by the counters", flush=True)
        check(0 <= ends - delivered - lost <= unseen, f"{ends - delivered - lost} ends are missing")
        equal(twice, 0, "delivered twice")
        equal(sorted(before), sorted(("supervisor", *CHILDREN)), "processes")
        for name, takes in before.items():
            for what in ("pid", "fds", "maps B"):
                equal(after[name][what], takes[what], f"{name}: {what}")
            grown = after[name]["anonymous kB"] - takes["anonymous kB"]
            check(grown <= SLACK_KB, f"{name}: {grown} kB of memory more than at the begin")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1800, help="default %(default)s")
    parser.add_argument("--rate", type=int, default=300, help="connections a second, default %(default)s")
    args = parser.parse_args()
    sys.argv[1:] = []

    def test_everything_is_as_it_was():
        soak(args.seconds, args.rate)
    run_tests([test_everything_is_as_it_was])


if __name__ == "__main__":
    main()
