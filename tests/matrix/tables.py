# SPDX-License-Identifier: Apache-2.0
"""The committed tables: what is expected of each tracer on each kernel, what each program may cost
the kernel's verifier, which scenarios are played on which kernels."""

import dataclasses
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
NOT_SUPPORTED = "not supported"
TRACERS = ("tracepoint", "fentry", "kprobe")
SCENARIOS = "tests/matrix/guest/scenarios"


class TableError(Exception):
    """A table is not as it should be; says where."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    line: str
    tracer: str  # that is asked for
    comes_up: str  # a tracer, or NOT_SUPPORTED
    caps_left: str  # of the loader
    missing: frozenset  # names of its programs that are not attached
    words: str = ""  # that conntraced must say if the tracer is not supported


@dataclasses.dataclass(frozen=True)
class Scenario:
    title: str
    program: str  # path in the source
    line: str
    append: str  # to the kernel's command line
    archive: bool  # whether the guest is given an archive of BTF


def rows(name, fewest, most):
    """(place, columns) of each row of a table."""
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            columns = line.rstrip("\n").split("\t")
            if line.startswith("#"):
                continue
            if not fewest <= len(columns) <= most or not all(columns):
                raise TableError(f"{name}:{number}: not {fewest} to {most} columns")
            yield f"{name}:{number}", columns


def read_expectation(place, line, tracer, comes_up, caps_left, missing, words=""):
    if comes_up not in (*TRACERS, NOT_SUPPORTED) or (comes_up == NOT_SUPPORTED) != bool(words):
        raise TableError(f"{place}: a tracer, or '{NOT_SUPPORTED}' and what conntraced says then")
    return Expectation(line, tracer, comes_up, caps_left,
                       frozenset(missing.split(",")) - {"-"}, words)


def expectations(lines):
    """All that is expected, by line of kernels; each line must have some, and no other may."""
    table = {line: [] for line in lines}
    for place, columns in rows("expected.tsv", 5, 6):
        expectation = read_expectation(place, *columns)
        if expectation.line not in table:
            raise TableError(f"{place}: no such line of kernels: {expectation.line}")
        table[expectation.line].append(expectation)
    for line, expected in table.items():
        if not expected:
            raise TableError(f"expected.tsv: nothing about {line}")
    return table


def scenarios(lines):
    """Every scenario, once for each line of kernels that it is played on."""
    table = []
    for place, (title, program, on, append, beside) in rows("scenarios.tsv", 5, 5):
        if not os.path.exists(os.path.join(ROOT, program)):
            raise TableError(f"{place}: no such program: {program}")
        if beside not in ("archive", "-"):
            raise TableError(f"{place}: neither 'archive' nor '-': {beside}")
        for line in on.split(","):
            if line not in lines:
                raise TableError(f"{place}: no such line of kernels: {line}")
            table.append(Scenario(title, program, line, "" if append == "-" else append,
                                  beside == "archive"))
    unplayed = {os.path.join(SCENARIOS, name) for name in os.listdir(os.path.join(ROOT, SCENARIOS))
                if name.endswith(".py")} - {scenario.program for scenario in table}
    if unplayed:
        raise TableError(f"scenarios.tsv: nothing about {unplayed.pop()}")
    return table


def budgets():
    """{(tracer, program): instructions}."""
    table = {}
    for place, (tracer, program, instructions) in rows("verifier-budget.tsv", 3, 3):
        if not instructions.isdecimal():
            raise TableError(f"{place}: not a number: {instructions}")
        table[tracer, program] = int(instructions)
    return table
