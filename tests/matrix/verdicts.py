# SPDX-License-Identifier: Apache-2.0
"""From what guests reported to points of TAP."""

import dataclasses
import os

import tables
import tap

EXIT_UNSUPPORTED = os.EX_UNAVAILABLE  # conntraced's, when the kernel can't do what is asked for
TAIL_LINES = 30  # of a program that ended badly are shown
NAMED_MAX = 3  # failed tests are named in the one line about a tracer


@dataclasses.dataclass
class Verdict:
    """A point of TAP, and what else there is to say about it."""
    name: str
    passed: bool
    result: str = ""  # in the words of the closing table
    comments: list = dataclasses.field(default_factory=list)
    skip: str = ""


def about_failures(output):
    """What a program said of the tests that failed: of each its line and those that follow."""
    said, failing = [], False
    for line in output.splitlines():
        if line.startswith(("ok ", "not ok ")):
            failing = line.startswith("not ")
        if failing:
            said.append(f"  {line}")
    return said


def tables_in(output):
    """Rows that a program has told, whatever came of its tests."""
    return [line.removeprefix("# ") for line in output.splitlines() if line.startswith("# |")]


# --- tracers --------------------------------------------------------------------------------------

def unsupported(expected, tried):
    """(right, result, comments) for a tracer that did not come up."""
    said = tried["log"].splitlines()
    if tried["status"] != EXIT_UNSUPPORTED:
        return False, f"not tracing, exit status {tried['status']}", said
    reason = next((line for line in said if expected.words in line), "")
    if expected.comes_up != tables.NOT_SUPPORTED or not reason:
        wanted = f"to be told: {expected.words}" if expected.words else expected.comes_up
        return False, f"not supported, expected: {wanted}", said
    return True, f"not supported: {reason[reason.index(expected.words):]}", []


def judge_program(end):
    """(points, comments) of a program that ended in a guest."""
    points, plan = tap.read(end["output"])
    wrong = tap.judge(points, plan, end["status"])
    name = os.path.basename(end["program"])
    comments = [f"{name}: failed: {point.name}" for point in points if point.verdict == "failed"]
    comments += tables_in(end["output"]) + about_failures(end["output"])
    if wrong:
        points.append(tap.Point(name, "failed", wrong))
        comments += [f"{name}: {wrong}",
                     *(f"  {line}" for line in end["output"].splitlines()[-TAIL_LINES:])]
    return points, comments


def judge_command(kernel, name, ended):
    """A verdict on a test program that was run as a command."""
    said = next((event for event in ended.events
                 if event["event"] == "command" and event["name"] == name), None)
    if not said:
        return Verdict(f"{kernel.name} {name}: not reached", False)
    points, comments = judge_program({"program": name, **said})
    passed = sum(point.verdict == "passed" for point in points)
    return Verdict(f"{kernel.name} {name}: {passed} of {len(points)} passed",
                   passed > 0 and not any(point.verdict == "failed" for point in points),
                   comments=comments)


def end_of(program, events):
    """How it ended, None if it did not."""
    return next((event for event in events
                 if event["event"] == "end" and event["program"] == program), None)


def about_missing(expected, tried):
    """What is wrong with the programs that are not attached."""
    missing = {probe["name"] for probe in tried["probes"]
               if probe["state"] not in ("attached", "off")}
    return [f"not attached: {', '.join(sorted(missing)) or 'none'}; expected: "
            f"{', '.join(sorted(expected.missing)) or 'none'}"] if missing != expected.missing else []


def supported(programs, events, comments):
    """(right, result, comments) for a tracer that came up and the tests that were run with it;
    comments: what is wrong already."""
    points, seconds = [], 0
    wrong = bool(comments)
    for program in programs:
        end = end_of(program, events)
        if end:
            said, more = judge_program(end)
            seconds += end["seconds"]
        else:
            said, more = [tap.Point(program, "failed")], [f"{program}: did not end"]
        points += said
        comments += more
    counts = {verdict: sum(point.verdict == verdict for point in points)
              for verdict in ("passed", "failed", "skipped")}
    result = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()
                       if count or verdict == "passed") + f" ({seconds:.0f} s)"
    failed = [f"{p.name}: {p.reason}" if p.reason else p.name
              for p in points if p.verdict == "failed"]
    if failed:
        result += f": {'; '.join(failed[:NAMED_MAX])}{' ...' if failed[NAMED_MAX:] else ''}"
    right = not wrong and not failed and counts["passed"] > 0
    return right, result, comments


def judge_tracer(kernel, expected, programs, ended):
    """What came of a tracer on a kernel, against what was expected."""
    events = [event for event in ended.events if event.get("tracer") == expected.tracer]
    tried = next((event for event in events if event["event"] == "tracer"), None)
    if not tried:
        right, result, comments = False, "not reached", []
    elif not tried["comes_up"]:
        right, result, comments = unsupported(expected, tried)
    elif tried["comes_up"] != expected.comes_up:
        right, comments = False, []
        result = f"{tried['comes_up']} came up, expected: {expected.comes_up}"
    else:
        right, result, comments = supported(programs, events, about_missing(expected, tried))
    if not right and ended.wrong:
        comments += [f"the guest: {ended.wrong}"]
    name = expected.tracer
    if tried and tried["comes_up"] not in ("", expected.tracer):
        name += f" ({tried['comes_up']})"
    return Verdict(f"{kernel.name} {name}: {result}", right, result, comments)


def judge_guest(kernel, ended):
    """A guest that did not end well is a failure, whatever its tests said."""
    if not ended.wrong:
        return []
    return [Verdict(f"{kernel.name}: {ended.wrong}", False, ended.wrong,
                    [f"console: {line}" for line in ended.console])]


# --- scenarios ------------------------------------------------------------------------------------

def judge_scenario(kernel, scenario, ended):
    """A verdict for each point that it told."""
    end = end_of(scenario.program, ended.events)
    if not end:
        return [Verdict(f"{kernel.name} {scenario.title}: did not end", False)]
    points, comments = judge_program(end)
    told = [Verdict(f"{kernel.name} {scenario.title}: {point.name}", point.verdict != "failed",
                    skip=point.reason if point.verdict == "skipped" else "") for point in points]
    told[0].comments = comments
    return told


# --- the kernels' verifiers -----------------------------------------------------------------------

def costs(kernel, events):
    """[(kernel, tracer, program, instructions)] of each program that the kernel verified."""
    return sorted({(kernel.name, probe["tracer"], probe["name"], probe["verified_insns"])
                   for event in events if event["event"] == "tracer" for probe in event["probes"]
                   if probe["state"] not in ("off", "missing")})


def largest(measured):
    """{(tracer, program): (instructions, kernel)} where it took most."""
    table = {}
    for kernel, tracer, program, instructions in measured:
        most = max(table.get((tracer, program), (0, "")), (instructions, kernel))
        table[tracer, program] = most
    return table


def judge_costs(measured, budgets, complete):
    """The verifiers' work, against the budget. complete: measured on every line of kernels."""
    wrong = [f"{tracer} {program}: {kernel}: was loaded, but it is not told what that took"
             for kernel, tracer, program, instructions in measured if not instructions]
    for (tracer, program), (instructions, kernel) in sorted(largest(measured).items()):
        budget = budgets.get((tracer, program))
        if budget is None:
            wrong.append(f"{tracer} {program}: has no budget; {kernel}: {instructions}")
        elif instructions > budget:
            wrong.append(f"{tracer} {program}: {kernel}: {instructions}, more than {budget}")
    if complete:
        wrong += [f"{tracer} {program}: has a budget, but no kernel verified it"
                  for tracer, program in sorted(set(budgets) - set(largest(measured)))]
    if not measured:
        wrong.append("no program was loaded")
    return Verdict("the kernels' verifiers stay within verifier-budget.tsv", not wrong,
                   comments=wrong)
