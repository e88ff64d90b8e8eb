# SPDX-License-Identifier: Apache-2.0
"""What a test program says: TAP (https://testanything.org), "ok 1 - name", "not ok 2 - name",
"ok 3 - name # SKIP reason"; the reason of a failure may follow it in a line, "# reason: TEXT"."""

import dataclasses
import re
import signal

POINT = re.compile(r"(not )?ok\b\s*\d*\s*(?:-\s*)?(.*)")
PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*SKIP\S*\s*(.*))?$", re.IGNORECASE)
REASON = "# reason: "
SKIP = re.compile(r"(.*?)\s*#\s*SKIP\S*\s*(.*)$", re.IGNORECASE)


@dataclasses.dataclass
class Point:
    """One line of TAP: what was tested, "passed", "failed" or "skipped", why."""
    name: str
    verdict: str
    reason: str = ""


def read_point(failed, text):
    skip = SKIP.match(text)
    if not skip or failed and skip.group(1):
        return Point(text or "(no name)", "failed" if failed else "passed")
    name, reason = skip.groups()
    if not name:  # cmocka's skip(): "ok 1 # SKIP name", in older versions "not ok 1 # SKIP name"
        name, reason = reason, "skip() called" if reason else ""
    if reason:
        return Point(name, "skipped", reason)
    return Point(name or "(no name)", "failed", "skipped without a reason")


def read(text):
    """The points of a program's standard output, and its plan (None if there is none)."""
    points, plan = [], None
    for line in text.splitlines():
        planned = PLAN.match(line)
        point = POINT.match(line)
        if planned:
            plan = int(planned.group(1))
            if planned.group(2):
                points.append(Point("all of it", "skipped", planned.group(2)))
                plan = 1
        elif point:
            points.append(read_point(bool(point.group(1)), point.group(2).strip()))
        elif line.startswith(REASON) and points and points[-1].verdict == "failed":
            points[-1].reason = line.removeprefix(REASON)
    return points, plan


def judge(points, plan, status):
    """What is wrong beside the points themselves, or None."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    if status and not any(point.verdict == "failed" for point in points):
        return f"exit status {status} without a failed test"
    if not points:
        return "no test in its output"
    if plan is not None and plan != len(points):
        return f"planned {plan} tests, ran {len(points)}"
    return None
