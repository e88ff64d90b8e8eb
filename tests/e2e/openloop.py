# SPDX-License-Identifier: Apache-2.0
"""Open-loop load against a tracer whose output is a pipe: its lines are counted as they come, as fast
as a test wants."""

import collections
import contextlib
import functools
import json
import os
import re
import shutil
import threading
import time

from harness import Tracer, check, conngen, equal, network_namespace, wait_for, wait_until

ADDRESS = "127.77.5.1"
FILTERS = f"""snapshot_interval: 1h
filters:
  - include: {{cidr: {ADDRESS}}}
  - exclude: all
"""
NUMBERS = re.compile(rb'"seq":(\d+),"cpu":(\d+)')
CHUNK = 65536


class Tally:
    """What came out. Nothing is kept of a line but what is counted, so there can be millions."""

    def __init__(self):
        self.events = collections.Counter()
        self.repeated = 0  # records that came twice, or out of order
        self.missing = 0   # numbers that are absent from their sequence
        self.next = {}
        self.markers = {}

    def add(self, line):
        if not line.endswith(b"}"):
            return  # an exporter was killed in the midst of it: the next one writes it whole
        if line.startswith(b'{"event":"loss"'):
            marker = json.loads(line)
            key = (marker["total_since_ns"], marker["cause"], marker["records"])
            self.markers[key] = max(self.markers.get(key, 0), marker["total"])
            return
        self.events[line[10:line.index(b'"', 10)].decode()] += 1
        seq, cpu = map(int, NUMBERS.search(line).groups())
        expected = self.next.get(cpu, 0)
        self.repeated += seq < expected
        self.missing += max(seq - expected, 0)
        self.next[cpu] = max(seq + 1, expected)

    def told(self, records):
        """How many records of this kind are missing, as the markers say."""
        return sum(n for (_, _, kind), n in self.markers.items() if kind == records)


class Pipe:
    """A named pipe in the tracer's directory, read by a thread. bytes_per_s: no faster than that."""

    def __init__(self, tracer, bytes_per_s=None):
        self.path = os.path.join(tracer.out, "pipe")
        os.mkfifo(self.path)
        shutil.chown(self.path, "nobody", "nogroup")
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.bytes_per_s = bytes_per_s
        self.tally = Tally()
        self.rest = b""
        self.ended = False
        self.thread = threading.Thread(target=self.read)

    def read(self):
        while not self.ended:
            try:
                chunk = os.read(self.fd, CHUNK)
            except BlockingIOError:
                time.sleep(0.01)
                continue
            *lines, self.rest = (self.rest + chunk).split(b"\n")
            for line in lines:
                self.tally.add(line)
            if self.bytes_per_s:
                time.sleep(len(chunk) / self.bytes_per_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        os.close(self.fd)


def run(budget, connections, rate, threads=32, bytes_per_s=None, timeout=60, watch=None):
    """Make so many connections. watch is called with the tally each second.
    Returns (ends made, the tally of the output, the last status, conngen's report)."""
    tracer = Tracer()
    with network_namespace() as (prefix, _), Pipe(tracer, bytes_per_s) as pipe:
        tracer.write_config(f"output: {{format: json, path: {pipe.path}}}\n"
                            f"memory_budget: {budget}\n" + FILTERS)
        pace = ["--rate", rate] if rate else []
        with tracer, watching(watch, pipe.tally):
            report = conngen(prefix, "run", "--addr", ADDRESS, "--connections", connections, *pace,
                             "--threads", threads, "--ports", 64, "--timeout", 1000 * timeout,
                             timeout=60 + connections // 1000)
            equal((report["completed"], report["failed"], report["not_started"]),
                  (connections, 0, 0), "conngen's connections")
            pipe.bytes_per_s = None
            ends = 2 * connections

            def left():
                count = tracer.status()["counters"]
                return ends - count["submitted_close"] - count["lost_close"]

            def all_told(unseen=0):
                status = tracer.status()
                count, told = status["counters"], status["ledger"]
                return (0 <= left() <= unseen and
                        status["identity"]["waiting"] == 0 and
                        told["told_lost_close"] == count["lost_close"] and
                        told["told_unseen"] == count["lost_unseen"] and status)
            status = wait_until(all_told, 30) or wait_for(
                "all records delivered and all losses told",
                functools.partial(all_told, tracer.unseen(left())))
            lost = sum(status["counters"][n] for n in ("lost_close", "lost_unseen")
                       ) + status["ledger"]["dropped_sink_close"]
            wait_for("the reader has read it", lambda:
                     pipe.tally.events["close"] == status["ledger"]["delivered_close"] and
                     pipe.tally.told("close") == lost)
        return ends, pipe.tally, status, report


@contextlib.contextmanager
def watching(watch, tally):
    over = threading.Event()

    def look():
        while not over.wait(1):
            watch(tally)
    thread = threading.Thread(target=look)
    if watch:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if watch:
            thread.join()


def unseen_of(ends, tally, status):
    """How many of them no program saw, None if the account does not add up: every end is a record, or
    told to be missing. Of those unseen anybody's are told, since they pass no filter."""
    unseen = status["counters"]["lost_unseen"]
    left = ends - tally.events["close"] - tally.told("close") + unseen
    return left if 0 <= left <= unseen else None


def check_ends(ends, tally, status):
    left = unseen_of(ends, tally, status)
    check(left is not None, f"of {ends} ends {tally.events['close']} delivered, "
                            f"{tally.told('close')} told: {status['counters']}")
    if left:
        print(f"# {left} of {ends} ends were seen by no program, and are told", flush=True)


def held(ends, tally, status):
    """Nothing is lost, and nothing comes twice."""
    check_ends(ends, tally, status)
    equal((tally.missing, tally.repeated), (0, 0), "numbers missing, repeated")
    equal(tally.told("close"), status["counters"]["lost_unseen"], "told")
    check(status["identity"]["holds"], status["identity"])
    equal(status["identity"]["dropped"], status["counters"]["lost_unseen"], "dropped")


def overrun(ends, tally, status):
    """Much is lost, and every end is a record or told to be missing."""
    lost = tally.told("close")
    check(lost > ends // 4, f"lost {lost} of {ends}")
    check_ends(ends, tally, status)
    counted = sum(status["counters"][n] for n in ("lost_close", "lost_unseen"))
    equal(lost, counted + status["ledger"]["dropped_sink_close"], "told, and counted")
    # What was lost last has no record behind it that would show the gap.
    check(0 < tally.missing <= lost, f"numbers missing: {tally.missing}")
    equal(tally.repeated, 0, "repeated")
    check(status["identity"]["holds"], status["identity"])
