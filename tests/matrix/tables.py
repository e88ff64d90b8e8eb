# SPDX-License-Identifier: Apache-2.0
"""The committed tables: what is expected of each tracer on each kernel, what each program may cost
the kernel's verifier."""

import dataclasses
import os

HERE = os.path.dirname(os.path.abspath(__file__))
OUTCOMES = ("passes", "not supported")


class TableError(Exception):
    """A table is not as it should be; says where."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    line: str
    tracer: str
    passes: bool
    words: str = ""  # that conntraced must say if the tracer is not supported


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


def read_expectation(place, line, tracer, outcome, words=""):
    if outcome not in OUTCOMES or (outcome == "passes") == bool(words):
        raise TableError(f"{place}: 'passes', or 'not supported' and what conntraced says then")
    return Expectation(line, tracer, outcome == "passes", words)


def expectations(lines):
    """All that is expected, by line of kernels; each line must have some, and no other may."""
    table = {line: [] for line in lines}
    for place, columns in rows("expected.tsv", 3, 4):
        expectation = read_expectation(place, *columns)
        if expectation.line not in table:
            raise TableError(f"{place}: no such line of kernels: {expectation.line}")
        table[expectation.line].append(expectation)
    for line, expected in table.items():
        if not expected:
            raise TableError(f"expected.tsv: nothing about {line}")
    return table


def budgets():
    """{(tracer, program): instructions}."""
    table = {}
    for place, (tracer, program, instructions) in rows("verifier-budget.tsv", 3, 3):
        if not instructions.isdecimal():
            raise TableError(f"{place}: not a number: {instructions}")
        table[tracer, program] = int(instructions)
    return table
