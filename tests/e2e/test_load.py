# SPDX-License-Identifier: Apache-2.0
"""Open-loop load: at a rate that is held nothing is lost, and far beyond what the output takes every
connection is a record or is told to be missing. tests/bench/load.py has the same with a million."""

from harness import load, main
from openloop import held, overrun, run


def test_at_a_rate_that_is_held_nothing_is_lost():
    ends, tally, status, report = run("16MiB", load(5000), load(1000))
    print(f"# {ends} ends, {report['late']} connections late")
    held(ends, tally, status)


def test_far_beyond_it_what_is_lost_is_told_exactly():
    ends, tally, status, _ = run("1MiB", max(load(10000), 3000), 20000, bytes_per_s=200000)
    print(f"# {ends} ends: {dict(tally.events)}, markers {tally.markers}")
    overrun(ends, tally, status)


if __name__ == "__main__":
    main([test_at_a_rate_that_is_held_nothing_is_lost,
          test_far_beyond_it_what_is_lost_is_told_exactly])
