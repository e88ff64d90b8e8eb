#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A million connections in open loop, twice: at a rate that this machine holds, where nothing may be
lost; and far beyond what the output takes, with a ring of 256 KiB, where every end of a connection
must be a record or be told to be missing. The truth is what the load generator made.

Exit codes: 0 it holds, 1 it does not, 2 it could not be run."""

import argparse
import os
import sys
import time

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import openloop

THREADS = 64
TRIAL = 20000       # connections that tell how many this machine makes in a second
HELD = 0.5          # of these are held
BEYOND = 10         # times of these are far too many
SLOW = 2000000      # bytes per second that the output takes then: some 2000 records

ROWS = (("rate asked for, connections per second", "rate"),
        ("rate made", "made"),
        ("connections", "connections"),
        ("ends", "ends"),
        ("records delivered", "delivered"),
        ("told missing by loss markers", "told"),
        ("loss markers' causes", "causes"),
        ("ends that no program saw", "unseen"),
        ("begun more than 10 ms late", "late"),
        ("latency p50, ms", "p50"),
        ("latency p99, ms", "p99"),
        ("ends = delivered + told", "exact"))


class Progress:
    def __init__(self, name, ends):
        self.name, self.ends, self.said = name, ends, time.monotonic()

    def __call__(self, tally):
        if time.monotonic() - self.said < 10:
            return
        self.said = time.monotonic()
        print(f"{self.name}: {tally.events['close']} records and {tally.told('close')} told missing "
              f"of {self.ends} ends", file=sys.stderr, flush=True)


def half(name, judge, rate, connections, **how):
    ends, tally, status, report = openloop.run(connections=connections, rate=rate, threads=THREADS,
                                               timeout=3600, watch=Progress(name, 2 * connections),
                                               **how)
    told = tally.told("close")
    column = {"rate": rate, "made": round(connections / report["elapsed_ns"] * 1e9),
              "connections": connections, "ends": ends, "delivered": tally.events["close"],
              "told": told, "late": report["late"],
              "causes": ", ".join(sorted({cause for _, cause, _ in tally.markers})) or "-",
              "p50": f"{report['latency_p50_ns'] / 1e6:.1f}",
              "p99": f"{report['latency_p99_ns'] / 1e6:.1f}",
              "unseen": openloop.unseen_of(ends, tally, status)}
    column["exact"] = "NO" if column["unseen"] is None else "yes"
    try:
        judge(ends, tally, status)
    except AssertionError as wrong:
        print(f"{name}: {wrong}", file=sys.stderr)
        return column, False
    return column, True


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000000, metavar="N",
                        help="in each half (default %(default)s)")
    parser.add_argument("--rate", type=int, metavar="N",
                        help="that is to be held (default: half of what a trial makes)")
    options = parser.parse_args()
    rate = options.rate
    try:
        *_, trial = openloop.run("16MiB", TRIAL, None, threads=THREADS)
        makes = TRIAL / trial["elapsed_ns"] * 1e9
        rate = rate or int(HELD * makes)
        print(f"trial: {makes:.0f} connections per second", file=sys.stderr, flush=True)
        columns = [half("held", openloop.held, rate, options.connections, budget="16MiB"),
                   half("beyond", openloop.overrun, int(BEYOND * makes), options.connections,
                        budget="1MiB", bytes_per_s=SLOW)]
    except (AssertionError, OSError) as wrong:
        print(f"load.py: {wrong}", file=sys.stderr)
        return 2
    print(f"{'':42}{'held':>16}{'far beyond':>16}")
    for label, key in ROWS:
        print(f"{label:42}" + "".join(f"{column[key]:>16}" for column, _ in columns))
    return 0 if all(holds for _, holds in columns) else 1


if __name__ == "__main__":
    sys.exit(main())
