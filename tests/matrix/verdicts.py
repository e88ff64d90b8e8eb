# SPDX-License-Identifier: Apache-2.0
"""From what guests reported to points of TAP."""

import dataclasses
import os

import tap

EXITS_UNSUPPORTED = (70,)  # of conntraced, when the kernel can't do what it is to trace by


@dataclasses.dataclass
class Verdict:
    """A point of TAP, and what else there is to say about it."""
    name: str
    passed: bool
    result: str = ""  # in the words of the closing table
    comments: list = dataclasses.field(default_factory=list)
    skip: str = ""


def indented(text):
    return [f"  {line}" for line in text.splitlines()]


def unsupported(expected, tried):
    """(right, result, comments) for a tracer that did not come up."""
    said = tried["log"].splitlines()
    if tried["status"] not in EXITS_UNSUPPORTED:
        return False, f"not tracing, exit status {tried['status']}", said
    reason = next((line for line in said if expected.words in line), "")
    if expected.passes or not reason:
        wanted = "it passes" if expected.passes else f"to be told: {expected.words}"
        return False, f"not supported, expected: {wanted}", said
    return True, f"not supported: {reason[reason.index(expected.words):]}", []


def judge_program(end):
    """(points, comments) of a program that ended in a guest."""
    points, plan = tap.read(end["output"])
    wrong = tap.judge(points, plan, end["status"])
    program = os.path.basename(end["program"])
    if wrong:
        points.append(tap.Point(program, "failed", wrong))
    failed = [point for point in points if point.verdict == "failed"]
    comments = [f"{program}: failed: {point.name} {point.reason}".rstrip() for point in failed]
    return points, comments + (indented(end["output"]) if failed else [])


def supported(programs, events):
    """(right, result, comments) for a tracer that came up and the tests that were run with it."""
    points, comments = [], []
    ends = {event["program"]: event for event in events if event["event"] == "end"}
    for program in programs:
        if program in ends:
            said, more = judge_program(ends[program])
        else:
            said, more = [tap.Point(program, "failed")], [f"{program}: did not end"]
        points += said
        comments += more
    counts = {verdict: sum(point.verdict == verdict for point in points)
              for verdict in ("passed", "failed", "skipped")}
    result = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()
                       if count or verdict == "passed")
    return not counts["failed"] and counts["passed"] > 0, result, comments


def judge_tracer(kernel, expected, programs, ended):
    """What came of a tracer on a kernel, against what was expected."""
    events = [event for event in ended.events if event["tracer"] == expected.tracer]
    tried = next((event for event in events if event["event"] == "tracer"), None)
    if not tried:
        right, result, comments = False, "not reached", []
    elif not tried["tracing"]:
        right, result, comments = unsupported(expected, tried)
    elif not expected.passes:
        right, result, comments = False, "supported, expected: not supported", []
    else:
        right, result, comments = supported(programs, events)
    if not right and ended.wrong:
        comments += [f"the guest: {ended.wrong}", *(f"console: {line}" for line in ended.console)]
    return Verdict(f"{kernel.name} {expected.tracer}: {result}", right, result, comments)


def judge_guest(kernel, ended):
    """A guest that did not end well is a failure, whatever its tests said."""
    return [Verdict(f"{kernel.name}: {ended.wrong}", False, ended.wrong,
                    [f"console: {line}" for line in ended.console])] if ended.wrong else []


def costs(kernel, events):
    """[(kernel, tracer, program, instructions)] of each program that the kernel verified."""
    return [(kernel.name, event["tracer"], probe["name"], probe["verified_insns"])
            for event in events if event["event"] == "tracer" for probe in event["probes"]]


def judge_costs(measured, budgets):
    """The verifier's work, against the budget."""
    name = "the kernels' verifiers stay within verifier-budget.tsv"
    if not measured:
        return Verdict(name, True, skip="conntraced does not tell what they processed")
    wrong = []
    for kernel, tracer, program, instructions in measured:
        budget = budgets.get((tracer, program))
        if budget is None:
            wrong.append(f"{tracer} {program}: has no budget; {kernel}: {instructions}")
        elif instructions > budget:
            wrong.append(f"{tracer} {program}: {kernel}: {instructions}, more than {budget}")
    unused = set(budgets) - {(tracer, program) for _, tracer, program, _ in measured}
    wrong += [f"{tracer} {program}: has a budget, but no kernel verified it"
              for tracer, program in sorted(unused)]
    return Verdict(name, not wrong, comments=wrong)
